/** The library by genre: chips with counts, search, order, and a list drawn as it is scrolled. */
import { UNCERTAIN } from "../rules/label.ts";
import type { Judgement, LabelledSong } from "../rules/song.ts";
import { folded } from "../rules/text.ts";
import { texts } from "../texts.ts";
import { button, make, select, swatch } from "./dom.ts";
import { songItem, type SongActions } from "./songitem.ts";

type Order = keyof typeof texts.library.orders;

const BATCH = 40;
const FAILED = "\0failed"; // no label: those are printable
const PAUSE_MS = 120;

interface Drawn {
  readonly of: LabelledSong;
  readonly item: HTMLLIElement;
}

export class Library {
  readonly element = make("section", { class: "library", "aria-labelledby": "library-title" });
  private readonly summary = make("p", { class: "soft" });
  private readonly chips = make("ul", { class: "genres", "aria-label": texts.library.genres });
  private readonly found = make("p", { class: "soft", role: "status" });
  private readonly list = make("div");
  private readonly end = make("div");
  private readonly search = make("input", {
    type: "search", autocomplete: "off", spellcheck: "false", enterkeyhint: "search",
  });

  private songs: readonly LabelledSong[] = [];
  private how: Judgement | null = null;
  private group: string | null = null;
  private order: Order = "name";
  private drawn = new Map<string, Drawn>();
  private waiting: LabelledSong[] = [];
  private counts = new Map<string, number>();
  /** More songs are known than the list shows. */
  private behind = false;

  /** @param retry called when the failed ones are to be tried again */
  constructor(private readonly actions: SongActions, private readonly retry: () => void) {
    const orders = select(texts.library.orders, this.order, (order) => {
      this.order = order;
      this.update();
    });
    let pause = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(pause);
      pause = window.setTimeout(() => this.update(), PAUSE_MS);
    });
    this.element.append(
      make("h2", { id: "library-title" }, texts.library.title),
      this.summary,
      make("div", { class: "tools sticky", role: "search" },
        make("label", {}, texts.library.search, this.search),
        make("label", { class: "order" }, texts.library.order, orders)),
      this.chips, this.found, this.list, this.end,
    );
    this.list.addEventListener("focusout", (event) => {
      if (this.behind && !this.list.contains(event.relatedTarget as Node | null)) this.updateList();
    });
    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.drawOn();
    }, { rootMargin: "1200px" }).observe(this.end);
  }

  /** Songs that are shown now: what a person would expect to be saved. */
  get shown(): readonly LabelledSong[] {
    const words = folded(this.search.value).split(/\s+/).filter(Boolean);
    return this.songs.filter((one) => {
      const text = folded(one.song.path);
      return (this.group === null || groupOf(one) === this.group) && words.every((w) => text.includes(w));
    });
  }

  show(songs: readonly LabelledSong[], how: Judgement): void {
    if (how !== this.how) this.drawn.clear();
    this.songs = songs;
    this.how = how;
    this.update();
  }

  /**
   * The same while songs come in: the list waits as long as the focus is in it.
   *
   * @param all no more will come, so that it waits for an open choice alone
   */
  add(songs: readonly LabelledSong[], all: boolean): void {
    const focused = document.activeElement;
    this.songs = songs;
    this.updateCounts();
    this.behind = this.list.contains(focused) && !(all && focused?.localName !== "select");
    if (!this.behind) this.updateList();
  }

  private update(): void {
    this.updateCounts();
    this.updateList();
  }

  private updateList(): void {
    this.behind = false;
    const shown = [...this.shown];
    const everything = shown.length === this.songs.length;
    this.found.textContent = everything ? "" : texts.library.found(shown.length);
    const place = new Map(this.ranked().map((group, i) => [group, i]));
    const sign = { name: 0, sure: -1, unsure: 1 }[this.order];
    shown.sort((a, b) =>
      place.get(groupOf(a))! - place.get(groupOf(b))! ||
      sign * ((a.label?.confidence ?? 0) - (b.label?.confidence ?? 0)) ||
      (a.song.path < b.song.path ? -1 : 1));
    this.redraw(shown);
  }

  private updateCounts(): void {
    this.element.hidden = this.songs.length === 0;
    this.counts = countGroups(this.songs);
    if (this.group !== null && !this.counts.has(this.group)) this.group = null;
    const failed = this.counts.get(FAILED) ?? 0;
    this.summary.textContent = texts.library.summary(
      this.songs.length, this.counts.get(UNCERTAIN) ?? 0, failed);
    this.updateChips();
  }

  private redraw(shown: LabelledSong[]): void {
    const focused = document.activeElement;
    const before = this.list.querySelectorAll("li[data-path]").length;
    const song = this.list.contains(focused) ? focused?.closest<HTMLElement>("li[data-path]") : null;
    const kind = focused?.localName === "select" ? "select" : "summary";
    this.waiting = shown.reverse();
    this.list.replaceChildren();
    this.draw(Math.max(BATCH, before));
    // The song may have been drawn anew, and elsewhere.
    const path = song?.dataset["path"];
    const again = path === undefined ? null : this.drawn.get(path)?.item;
    again?.querySelector<HTMLElement>(kind)?.focus({ preventScroll: true });
  }

  private updateChips(): void {
    const focused = document.activeElement;
    const place = this.chips.contains(focused) ? focused!.getAttribute("data-chip") : null;
    const chip = (group: string | null, text: string, count: number) => {
      const pressed = String(this.group === group);
      const element = make("button", { type: "button", "aria-pressed": pressed, "data-chip": group ?? "" },
        group !== null && group !== FAILED && swatch(this.placeOf(group)),
        text, make("span", { class: "soft" }, String(count)));
      element.addEventListener("click", () => {
        this.group = this.group === group ? null : group;
        this.update();
      });
      return make("li", {}, element);
    };
    this.chips.replaceChildren(
      chip(null, texts.library.all, this.songs.length),
      ...this.ranked().map((group) => chip(group, nameOf(group), this.counts.get(group)!)),
    );
    if (place === null) return;
    const chips = [...this.chips.querySelectorAll<HTMLElement>("button")];
    (chips.find((one) => one.dataset["chip"] === place) ?? chips[0])?.focus({ preventScroll: true });
  }

  /** Genres by the number of their songs; then what is uncertain, then what failed. */
  private ranked(): string[] {
    const late = (group: string) => (group === FAILED ? 2 : group === UNCERTAIN ? 1 : 0);
    return [...this.counts.keys()].sort((a, b) =>
      late(a) - late(b) || this.counts.get(b)! - this.counts.get(a)! || (a < b ? -1 : 1));
  }

  private placeOf(group: string): number {
    return this.how?.labels.indexOf(group) ?? -1;
  }

  private drawOn(): void {
    this.draw(BATCH);
    const near = () => this.end.getBoundingClientRect().top < window.innerHeight + 1200;
    if (this.waiting.length && near()) requestAnimationFrame(() => this.drawOn());
  }

  private draw(count: number): void {
    for (; count > 0 && this.waiting.length; count--) {
      const one = this.waiting.pop()!;
      const group = groupOf(one);
      let section = this.list.lastElementChild;
      if (section?.getAttribute("data-group") !== group) this.list.append((section = this.section(group)));
      section.querySelector("ul")!.append(this.item(one));
    }
  }

  private section(group: string): HTMLElement {
    const failed = group === FAILED;
    return make("section", { "data-group": group, "aria-label": nameOf(group) },
      make("h3", {}, !failed && swatch(this.placeOf(group)), nameOf(group),
        make("small", {}, String(this.counts.get(group) ?? 0))),
      failed && button(texts.library.again, this.retry, "quiet"),
      make("ul", { class: "songs" }));
  }

  private item(one: LabelledSong): HTMLLIElement {
    const { path } = one.song;
    const before = this.drawn.get(path);
    if (before?.of === one) return before.item;
    const open = before?.item.querySelector("details")?.open ?? false;
    const item = songItem(one, this.how!, this.actions, open);
    this.drawn.set(path, { of: one, item });
    return item;
  }
}

function groupOf(one: LabelledSong): string {
  return one.genre ?? FAILED;
}

function nameOf(group: string): string {
  if (group === FAILED) return texts.library.failed;
  return group === UNCERTAIN ? texts.library.uncertain : group;
}

function countGroups(songs: readonly LabelledSong[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of songs) counts.set(groupOf(one), (counts.get(groupOf(one)) ?? 0) + 1);
  return counts;
}
