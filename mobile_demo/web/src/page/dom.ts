/** Elements from code: text as text, whatever a song is called. */

type Child = Node | string | null | false;
type Attributes = Record<string, string | boolean | ((event: Event) => void)>;

/** An element; attributes that are functions listen to the event of that name. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== false));
  return element;
}

export function button(text: string, action: () => void, kind = ""): HTMLButtonElement {
  return make("button", { type: "button", class: kind, click: action }, text);
}

/** A choice of one of several values. */
export function select<T extends string>(
  choices: Readonly<Record<T, string>>, chosen: T, changed: (value: T) => void,
): HTMLSelectElement {
  const element = make("select");
  for (const [value, text] of Object.entries<string>(choices)) {
    element.append(make("option", { value, selected: value === chosen }, text));
  }
  element.addEventListener("change", () => changed(element.value as T));
  return element;
}

/** The colour of a genre, by its place in the model's labels; uncertain ones have none. */
export function colour(genre: number): string {
  return genre < 0 ? "var(--soft)" : `var(--g${genre % 12})`;
}

export function swatch(genre: number): HTMLElement {
  const element = make("span", { class: "swatch", "aria-hidden": "true" });
  element.style.background = colour(genre);
  return element;
}
