/** Link to a genre or a song in the hash of the page's address, which a browser never sends to a server. */
import { texts } from "../texts.ts";

export type LinkTarget = "genre" | "song";

/** Show the genre or the song of the address in the list, now and when the address changes. */
export function followLinks(
  show: (target: LinkTarget, value: string) => boolean, showMessage: (text: string) => void,
): void {
  const follow = () => {
    const values = new URLSearchParams(location.hash.slice(1));
    for (const target of ["genre", "song"] as const) {
      const value = values.get(target);
      if (value !== null && !show(target, value)) showMessage(texts.linkMissing(target, value));
    }
  };
  follow();
  window.addEventListener("hashchange", follow);
}

/** Make the address link to a genre or a song, or to neither if `value` is null. */
export function setLink(target: LinkTarget, value: string | null): void {
  const hash = value === null ? "" : `#${target}=${encodeURIComponent(value)}`;
  history.replaceState(null, "", location.pathname + location.search + hash);
}
