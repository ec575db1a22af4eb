/** Create elements. Text is always inserted as text, never as HTML. */
import { NOT_MUSIC } from "../rules/constants.ts";

type Child = Node | string | null | false;
type Attributes = Record<string, string | boolean | ((event: Event) => void)>;

/** Create an element; an attribute that is a function becomes a listener for the event of its name. */
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

/** @param style CSS class: "main", "quiet" or none */
export function button(text: string, onClick: () => void, style = ""): HTMLButtonElement {
  return make("button", { type: "button", class: style, click: onClick }, text);
}

/** @param options text of each value */
export function select<T extends string>(
  options: Readonly<Record<T, string>>, selected: T, onChange: (value: T) => void,
): HTMLSelectElement {
  const element = make("select");
  for (const [value, text] of Object.entries<string>(options)) {
    element.append(make("option", { value, selected: value === selected }, text));
  }
  element.addEventListener("change", () => onChange(element.value as T));
  return element;
}

/** Return the colour of a label by its index in the model's labels; UNCERTAIN and NOT_MUSIC are grey. */
export function colour(label: string, labels: readonly string[]): string {
  if (label === NOT_MUSIC) return "var(--not-music)";
  const index = labels.indexOf(label);
  if (index < 0) return "var(--soft)";
  if (index < 12) return `var(--g${index})`;
  return `hsl(${(index * 137.508) % 360} 50% ${40 + index % 4 * 8}%)`;  // the golden angle: all hues differ
}

export function swatch(label: string, labels: readonly string[]): HTMLElement {
  const element = make("span", { class: "swatch", "aria-hidden": "true" });
  element.style.background = colour(label, labels);
  return element;
}
