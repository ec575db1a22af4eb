/** A list of genres whose last entry opens a field for a genre of the user's own. */
import { cleanGenre } from "../learning/genre-text.ts";
import { labelName, texts } from "../texts.ts";
import { button, make } from "./dom.ts";

/** Value of the entry that opens the field. No genre is equal to it, because genres are printable. */
const OWN = "\0own";

export interface GenreChoice {
  readonly list: HTMLSelectElement;
  /** The field for a genre of the user's own, hidden until it is wanted. */
  readonly field: HTMLElement;
}

/**
 * Create a list of genres.
 *
 * @param first text of the entries before the genres by their value
 * @param selected value of the selected entry
 * @param onChoose called with a value of `first` or a genre
 */
export function genreChoice(
  first: Readonly<Record<string, string>>, genres: readonly string[], selected: string, onChoose: (value: string) => void,
): GenreChoice {
  // Not an object, which has no place for a genre named "__proto__".
  const options = [...Object.entries(first), ...genres.map((genre) => [genre, labelName(genre)]), [OWN, texts.ownGenre.option]];
  const list = make("select", {
    change: () => {
      field.hidden = list.value !== OWN;
      if (list.value === OWN) input.focus();
      else onChoose(list.value);
    },
  }, ...options.map(([value, text]) => make("option", { value: value!, selected: value === selected }, text!)));
  const message = make("p", { class: "reason small", role: "status" });
  const input = make("input", {
    type: "text", autocomplete: "off", maxlength: "100", enterkeyhint: "done",
    keydown: (event) => {
      if ((event as KeyboardEvent).key === "Enter") submit();
    },
  });
  const submit = () => {
    const genre = cleanGenre(input.value);
    if (genre === null) message.textContent = texts.ownGenre.invalid;
    else onChoose(genre);
  };
  const field = make("div", { class: "own-genre", hidden: true },
    make("label", {}, texts.ownGenre.name, input), button(texts.ownGenre.set, submit), message);
  return { list, field };
}
