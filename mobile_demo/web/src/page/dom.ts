/** Create elements. Text is always inserted as text, never as HTML. */
import { NOT_MUSIC } from "../rules/constants.ts";

export const SVG = "http://www.w3.org/2000/svg";

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

/** Shapes of icons, as paths in a square of 24 units. */
export const icons = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M6 5h4.5v14H6zM13.5 5H18v14h-4.5z",
  next: "M5 5v14l10-7zM16 5h3v14h-3z",
  close: "M5 6.4 6.4 5 12 10.6 17.6 5 19 6.4 13.4 12 19 17.6 17.6 19 12 13.4 6.4 19 5 17.6 10.6 12z",
};

/** Create a button with an icon; screen readers read its name. */
export function iconButton(name: string, shape: string, onClick: () => void, style = ""): HTMLButtonElement {
  const element = make("button", { type: "button", class: `icon ${style}`, click: onClick });
  setIcon(element, name, shape);
  return element;
}

export function setIcon(element: HTMLButtonElement, name: string, shape: string): void {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", shape);
  svg.append(path);
  element.querySelector("svg")?.remove();
  element.append(svg);
  element.setAttribute("aria-label", name);
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
