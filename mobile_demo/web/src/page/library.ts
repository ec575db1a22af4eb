/** List the songs by genre, with search, order and a filter; scrolling draws more songs. */
import { NOT_MUSIC, UNCERTAIN } from "../rules/constants.ts";
import { folderName, type LibrarySong, type Song, songCredits, songTitle } from "../rules/song.ts";
import { folded } from "../rules/text.ts";
import { texts } from "../texts.ts";
import type { Covers } from "./covers.ts";
import { button, make, select, swatch } from "./dom.ts";
import { type LinkTarget, setLink } from "./links.ts";
import { SelectionBar } from "./selection-bar.ts";
import { songItem, type SongActions } from "./song-item.ts";

type Order = keyof typeof texts.library.orders;

/** Number of songs that are drawn at a time. */
const BATCH = 40;
/** Distance below the window, in pixels, up to which songs are drawn. */
const DRAW_AHEAD = 1200;
/** Group of the songs without a genre. No label is equal to it, because labels are printable. */
const FAILED = "\0failed";
/** Positions of the groups that are no genres; genres have 0. Uncertain songs, to be corrected, come first. */
const POSITIONS: Readonly<Record<string, number>> = { [UNCERTAIN]: -1, [NOT_MUSIC]: 1, [FAILED]: 2 };
const SEARCH_DELAY_MS = 120;
const CONFIDENCE_SIGN: Record<Order, number> = { name: 0, highest: -1, lowest: 1 };

interface DrawnItem {
  readonly labelled: LibrarySong;
  readonly element: HTMLLIElement;
}

export interface LibraryActions extends Pick<SongActions, "correct" | "remove" | "play"> {
  /** Ask for the genres of uncertain songs. */
  readonly review: (songs: readonly LibrarySong[]) => void;
}

export class Library {
  readonly element = make("section", { class: "library", "aria-labelledby": "library-title" });
  readonly selectionBar: SelectionBar;
  private readonly summary = make("p", { class: "soft" });
  private readonly filters = make("ul", { class: "genres", "aria-label": texts.library.genres });
  private readonly foundText = make("p", { class: "soft found", role: "status" });
  private readonly list = make("div");
  private readonly end = make("div");
  private readonly tools = make("div", { class: "tools sticky", role: "search" });
  private readonly search = make("input", {
    type: "search", autocomplete: "off", spellcheck: "false", enterkeyhint: "search",
  });

  private songs: readonly LibrarySong[] = [];
  /** The songs that match the search. */
  private found: readonly LibrarySong[] = [];
  private labels: readonly string[] = [];
  private group: string | null = null;
  private order: Order = "name";
  /** Drawn items by path; they are reused while their song stays the same. */
  private items = new Map<string, DrawnItem>();
  /** The listed songs in their order. */
  private sorted: readonly LibrarySong[] = [];
  /** Songs that are not drawn yet, the next one last. */
  private undrawn: LibrarySong[] = [];
  private counts = new Map<string, number>();
  /** Paths of the selected songs; null if none can be selected now. */
  private selection: Set<string> | null = null;
  /** True if the list lacks songs because it has the focus. */
  private outdated = false;

  /** @param onRetry called when the user wants to repeat the failed songs */
  constructor(
    private readonly actions: LibraryActions, private readonly covers: Covers, private readonly onRetry: () => void,
  ) {
    this.selectionBar = new SelectionBar({
      correct: (songs, genre) => {
        this.actions.correct(songs, genre);
        this.select(null);
      },
      selectShown: () => this.select(this.shown.map(({ song }) => song.path)),
      end: () => this.select(null),
    });
    const orders = select(texts.library.orders, this.order, (order) => {
      this.order = order;
      this.update();
    });
    this.tools.append(
      make("label", {}, texts.library.search, this.search),
      make("label", { class: "order" }, texts.library.order, orders));
    // The keyboard of a phone hides the lower half of the page.
    this.search.addEventListener("focus", () => {
      this.element.classList.add("searched");
      this.tools.scrollIntoView({ block: "start" });
    });
    this.element.append(
      make("div", { class: "top-bar" },
        make("h2", { id: "library-title" }, texts.library.title),
        button(texts.selection.start, () => this.select(this.selection ? null : []), "quiet")),
      this.summary,
      make("p", { class: "soft small" }, texts.library.legend),
      this.tools,
      this.filters, this.foundText, this.list, this.end,
    );
    let timer = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => this.update(), SEARCH_DELAY_MS);
    });
    this.list.addEventListener("focusout", (event) => {
      if (this.outdated && !this.list.contains(event.relatedTarget as Node | null)) this.updateList();
    });
    this.list.addEventListener("click", ({ target }) => {
      const details = (target as Element).closest("summary")?.parentElement as HTMLDetailsElement | undefined;
      const path = details?.closest("li")?.dataset["path"];
      if (details && path !== undefined) setLink("song", details.open ? null : path); // the click changes `open` next
    });
    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.drawMore();
    }, { rootMargin: `${DRAW_AHEAD}px` }).observe(this.end);
  }

  /** The songs that match the filter and the search, which are also the exported ones. */
  get shown(): readonly LibrarySong[] {
    return this.found.filter((labelled) => this.group === null || groupOf(labelled) === this.group);
  }

  /** Show the songs of a genre, or the details of a song by its path; return false if there is none. */
  open(target: LinkTarget, value: string): boolean {
    const isShown = (labelled: LibrarySong) => (target === "genre" ? groupOf(labelled) : labelled.song.path) === value;
    if (!this.songs.some(isShown)) return false;
    this.search.value = "";
    this.group = target === "genre" ? value : null;
    this.update();
    if (target === "genre") this.tools.scrollIntoView({ block: "start" });
    else this.openSong(value);
    return true;
  }

  private openSong(path: string): void {
    const index = this.sorted.findIndex(({ song }) => song.path === path);
    this.draw(index + 1 - (this.sorted.length - this.undrawn.length));
    const element = this.items.get(path)!.element;
    element.querySelector("details")!.open = true;
    element.scrollIntoView({ block: "center" });
    element.querySelector("summary")!.focus({ preventScroll: true });
  }

  /** Select songs; null ends the selection. */
  private select(paths: readonly string[] | null): void {
    this.selection = paths && new Set(paths);
    this.element.classList.toggle("selecting", paths !== null);
    for (const { element, labelled } of this.items.values()) this.showPicked(element, labelled.song.path);
    this.updateSelection();
  }

  private selectLike(song: Song, field: "artist" | "album"): void {
    const like = this.songs.filter((other) => isLike(other.song, song, field));
    this.select(like.map((other) => other.song.path));
  }

  private pick(path: string, isPicked: boolean): void {
    if (isPicked) this.selection?.add(path);
    else this.selection?.delete(path);
    this.updateSelection();
  }

  private showPicked(element: HTMLElement, path: string): void {
    element.querySelector<HTMLInputElement>(".pick")!.checked = this.selection?.has(path) ?? false;
  }

  private updateSelection(): void {
    const { selection } = this;
    if (!selection) return this.selectionBar.hide();
    const selected = this.songs.filter(({ song }) => selection.has(song.path));
    this.selectionBar.show(selected.map(({ song }) => song), this.labels);
  }

  /** Return the next (1) or the previous (-1) song of the same genre in the list; null at the end. */
  neighbour(path: string, step: 1 | -1): LibrarySong | null {
    const at = this.sorted.findIndex(({ song }) => song.path === path);
    const [current, next] = [this.sorted[at], this.sorted[at + step]];
    return current && next && groupOf(current) === groupOf(next) ? next : null;
  }

  /** @param labels genres of songs and for corrections; another array if they have changed */
  show(songs: readonly LibrarySong[], labels: readonly string[]): void {
    if (labels !== this.labels) this.items.clear();
    this.songs = songs;
    this.labels = labels;
    this.update();
    if (songs.length === 0) this.select(null);
    else this.updateSelection();
  }

  /**
   * Show further songs of a scan. The list stays unchanged while it has the focus.
   *
   * @param finished true at the end of the scan, when only an open genre choice delays the list
   */
  showScanned(songs: readonly LibrarySong[], finished: boolean): void {
    const focused = document.activeElement;
    this.songs = songs;
    this.updateCounts();
    this.outdated = this.list.contains(focused) && !(finished && !focused?.matches("select, .own-genre *"));
    if (!this.outdated) this.updateList();
  }

  private update(): void {
    this.updateCounts();
    this.updateList();
  }

  private updateList(): void {
    this.outdated = false;
    const shown = [...this.shown];
    const isComplete = shown.length === this.songs.length;
    this.foundText.textContent = isComplete ? "" : texts.library.found(shown.length);
    const rank = new Map(this.rankedGroups().map((group, i) => [group, i]));
    const sign = CONFIDENCE_SIGN[this.order];
    shown.sort((a, b) =>
      rank.get(groupOf(a))! - rank.get(groupOf(b))! ||
      sign * (confidenceOf(a) - confidenceOf(b)) ||
      (a.song.path < b.song.path ? -1 : 1));
    this.sorted = shown;
    this.redraw();
  }

  private updateCounts(): void {
    this.element.hidden = this.songs.length === 0;
    this.found = matching(this.songs, this.search.value);
    this.counts = countGroups(this.found);
    const all = countGroups(this.songs);
    if (this.group !== null && !all.has(this.group)) this.group = null;
    const count = (group: string) => all.get(group) ?? 0;
    this.summary.textContent = texts.library.summary({
      total: this.songs.length,
      uncertain: count(UNCERTAIN),
      notMusic: count(NOT_MUSIC),
      partial: this.songs.filter(({ song }) => song.partial).length,
      failed: count(FAILED),
    });
    this.updateFilters();
  }

  private redraw(): void {
    const focused = document.activeElement;
    const drawn = this.list.querySelectorAll("li[data-path]").length;
    const focusedItem = this.list.contains(focused) ? focused?.closest<HTMLElement>("li[data-path]") : null;
    const focusedTag = focused?.localName === "select" ? "select" : "summary";
    this.undrawn = [...this.sorted].reverse();
    this.list.replaceChildren();
    this.draw(Math.max(BATCH, drawn));
    // The focused song may have a new element, in another place.
    const path = focusedItem?.dataset["path"];
    const element = path === undefined ? null : this.items.get(path)?.element;
    element?.querySelector<HTMLElement>(focusedTag)?.focus({ preventScroll: true });
  }

  private updateFilters(): void {
    const focused = document.activeElement;
    const focusedGroup = this.filters.contains(focused) ? focused!.getAttribute("data-group") : null;
    this.filters.replaceChildren(
      this.filter(null, texts.library.all, this.found.length),
      ...this.rankedGroups().map((group) => this.filter(group, nameOf(group), this.counts.get(group) ?? 0)),
    );
    if (focusedGroup === null) return;
    const buttons = [...this.filters.querySelectorAll<HTMLElement>("button")];
    const same = buttons.find((element) => element.dataset["group"] === focusedGroup);
    (same ?? buttons[0])?.focus({ preventScroll: true });
  }

  /** @param group the group to show, or null for all */
  private filter(group: string | null, text: string, count: number): HTMLElement {
    const attributes = {
      type: "button",
      "aria-pressed": String(this.group === group),
      "data-group": group ?? "",
      click: () => {
        this.group = this.group === group ? null : group;
        setLink("genre", this.group === FAILED ? null : this.group);
        this.update();
      },
    };
    return make("li", {}, make("button", attributes,
      group !== null && group !== FAILED && swatch(group, this.labels),
      text, make("span", { class: "soft" }, String(count))));
  }

  /** Sort the genres by their number of songs; UNCERTAIN comes first, NOT_MUSIC and FAILED last. */
  private rankedGroups(): string[] {
    const position = (group: string) => POSITIONS[group] ?? 0;
    const groups = new Set(this.counts.keys());
    if (this.group !== null) groups.add(this.group); // a selected genre stays, also without a song that is found
    const size = (group: string) => this.counts.get(group) ?? 0;
    return [...groups].sort((a, b) =>
      position(a) - position(b) || size(b) - size(a) || (a < b ? -1 : 1));
  }

  private drawMore(): void {
    this.draw(BATCH);
    const isNear = this.end.getBoundingClientRect().top < window.innerHeight + DRAW_AHEAD;
    if (this.undrawn.length && isNear) requestAnimationFrame(() => this.drawMore());
  }

  private draw(count: number): void {
    for (; count > 0 && this.undrawn.length; count--) {
      const labelled = this.undrawn.pop()!;
      const group = groupOf(labelled);
      let section = this.list.lastElementChild;
      if (section?.getAttribute("data-group") !== group) this.list.append((section = this.section(group)));
      section.querySelector("ul")!.append(this.item(labelled));
    }
  }

  private section(group: string): HTMLElement {
    const failed = group === FAILED;
    return make("section", { "data-group": group, "aria-label": nameOf(group) },
      make("h3", {}, !failed && swatch(group, this.labels), nameOf(group),
        make("small", {}, String(this.counts.get(group) ?? 0))),
      group === UNCERTAIN && make("p", { class: "soft small" }, texts.library.correct),
      group === UNCERTAIN && button(texts.review.start(this.counts.get(group) ?? 0), () =>
        this.actions.review(this.sorted.filter((labelled) => groupOf(labelled) === UNCERTAIN)), "quiet"),
      failed && button(texts.library.retry, this.onRetry, "quiet"),
      make("ul", { class: "songs" }));
  }

  private item(labelled: LibrarySong): HTMLLIElement {
    const { path } = labelled.song;
    const drawn = this.items.get(path);
    if (drawn?.labelled === labelled) return drawn.element;
    const open = drawn?.element.querySelector("details")?.open ?? false;
    const element = songItem(labelled, this.labels, {
      ...this.actions,
      pick: (one, isPicked) => this.pick(one, isPicked),
      selectLike: (song, field) => this.selectLike(song, field),
    }, this.covers, open);
    this.showPicked(element, path);
    this.items.set(path, { labelled, element });
    return element;
  }
}

/** Return true if two songs have the same artist, or are on the same album. */
function isLike(a: Song, b: Song, field: "artist" | "album"): boolean {
  if (a.tags?.[field] !== b.tags?.[field]) return false;
  // Albums of different artists may have one name; those of one folder are one album also with different artists.
  return field === "artist" || a.tags?.artist === b.tags?.artist || folderName(a.path) === folderName(b.path);
}

function groupOf(labelled: LibrarySong): string {
  return labelled.genre ?? FAILED;
}

function confidenceOf(labelled: LibrarySong): number {
  return labelled.prediction?.confidence ?? 0;
}

function nameOf(group: string): string {
  if (group === FAILED) return texts.library.failed;
  if (group === NOT_MUSIC) return texts.library.notMusic;
  return group === UNCERTAIN ? texts.library.uncertain : group;
}

/** Return the songs whose path, title, artist and album together contain each word of a search. */
function matching(songs: readonly LibrarySong[], search: string): readonly LibrarySong[] {
  const words = folded(search).split(/\s+/).filter(Boolean);
  if (words.length === 0) return songs;
  return songs.filter(({ song }) => {
    const text = folded(`${song.path} ${songTitle(song)} ${songCredits(song)}`);
    return words.every((word) => text.includes(word));
  });
}

function countGroups(songs: readonly LibrarySong[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const labelled of songs) counts.set(groupOf(labelled), (counts.get(groupOf(labelled)) ?? 0) + 1);
  return counts;
}
