/** The card where songs are chosen, and the page as a place to drop them. */
import type { Catalog } from "../catalog.ts";
import { type Found, fromDrop, fromInput, walk } from "../picking.ts";
import { ACCEPT } from "../rules/finding.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

const CAN_DROP = window.matchMedia("(pointer: fine)");

/** Looks for songs; null where a person thought better of it. */
export type Search = () => Promise<Found | null>;

export class Picker {
  readonly element = make("section", { class: "card picker", "aria-label": texts.pickFiles });
  private readonly claim = make("div", { class: "claim" },
    make("img", { src: "./icon.svg", alt: "", width: "96", height: "96" }),
    make("p", {}, texts.claim),
    make("p", { class: "soft" }, texts.how));
  private readonly offers = make("div", { class: "actions" });
  private readonly rest = make("div", { class: "actions" });
  private left: HTMLElement | null = null;

  /** @param chosen called with a search to make, or to leave if something else goes on */
  constructor(
    private readonly catalog: Catalog,
    private readonly chosen: (search: Search) => void,
    private readonly say: (text: string) => void,
  ) {
    this.element.append(this.claim, this.rest, this.offers,
      make("div", { class: "actions" }, this.folderButton(), this.filesButton()));
    if (CAN_DROP.matches) this.element.append(make("p", { class: "soft small" }, texts.dropHere));
    this.listenForDrops();
  }

  /** Nothing is chosen while something goes on; the focus comes back to where it was. */
  hide(hidden: boolean): void {
    const focused = document.activeElement as HTMLElement;
    this.element.hidden = hidden;
    if (!hidden && focused === document.body) this.left?.focus({ preventScroll: true });
    this.left = hidden && this.element.contains(focused) ? focused : null;
  }

  /** Small, once there is a library to look at. */
  compact(small: boolean): void {
    this.claim.hidden = small;
    this.element.classList.toggle("compact", small);
  }

  /** Buttons for the folders of earlier visits, where the browser keeps them. */
  async offerFolders(): Promise<void> {
    const folders = await this.catalog.folders();
    this.offers.replaceChildren(...Array.from(folders, ([name, folder]) =>
      button(texts.goOn(name), () => this.chosen(() => this.goOn(folder, name)), "main")));
  }

  offerRest(count: number, listen: () => void): void {
    this.rest.replaceChildren(...(count ? [button(texts.hearRest(count), listen, "main")] : []));
  }

  forget(): void {
    this.offers.replaceChildren();
    this.rest.replaceChildren();
  }

  private folderButton(): HTMLElement {
    if (window.showDirectoryPicker) {
      return button(texts.pickFolder, () => this.chosen(() => this.pickFolder()), "main");
    }
    const input = make("input", { type: "file", webkitdirectory: true, multiple: true, class: "hidden", tabindex: "-1", "aria-hidden": "true" });
    return this.fileButton(texts.pickFolder, input, "main");
  }

  private filesButton(): HTMLElement {
    const input = make("input", { type: "file", multiple: true, accept: ACCEPT, class: "hidden", tabindex: "-1", "aria-hidden": "true" });
    return this.fileButton(texts.pickFiles, input, "");
  }

  private fileButton(text: string, input: HTMLInputElement, kind: string): HTMLElement {
    input.addEventListener("change", () => {
      const found = fromInput(input.files ?? []);
      input.value = ""; // so that the same choice counts again
      this.chosen(async () => found);
    });
    const element = button(text, () => input.click(), kind);
    return make("span", {}, element, input);
  }

  private async pickFolder(): Promise<Found | null> {
    let folder: FileSystemDirectoryHandle;
    try {
      folder = await window.showDirectoryPicker!({ id: "music", mode: "read" });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) this.say(texts.folderRefused);
      return null;
    }
    const name = await this.catalog.rememberFolder(folder).catch(() => null); // only some browsers can
    await this.offerFolders();
    if (name !== null) return this.look(folder, name);
    return { ...(await this.look(folder, folder.name)), folder: null }; // another may have that name
  }

  private async goOn(folder: FileSystemDirectoryHandle, name: string): Promise<Found | null> {
    const state = await folder.requestPermission?.({ mode: "read" });
    if (state === "granted") return this.look(folder, name);
    this.say(texts.folderRefused);
    return null;
  }

  private look(folder: FileSystemDirectoryHandle, name: string): Promise<Found> {
    this.say(texts.lookingInto);
    return walk(folder, name);
  }

  private listenForDrops(): void {
    const curtain = make("div", { class: "curtain", hidden: true }, texts.dropNow);
    document.body.append(curtain);
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      curtain.hidden = this.element.hidden;
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) curtain.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      curtain.hidden = true;
      const items = event.dataTransfer?.items;
      if (items) this.chosen(() => this.takeDrop(items));
    });
  }

  private takeDrop(items: DataTransferItemList): Promise<Found> {
    this.say(texts.lookingInto);
    return fromDrop(items);
  }
}
