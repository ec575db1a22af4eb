/** Card with the buttons that select songs, and the drop target of the page. */
import type { Catalog } from "../catalog.ts";
import { fromDrop, fromFolder, fromInput, type Selection } from "../file-sources.ts";
import { ACCEPT } from "../rules/discovery.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

const HAS_MOUSE = window.matchMedia("(pointer: fine)");
const HIDDEN_INPUT = { type: "file", multiple: true, class: "hidden", tabindex: "-1", "aria-hidden": "true" };

/** Find the selected songs; null if the user cancels the dialog. */
export type Select = () => Promise<Selection | null>;

export class FilePicker {
  readonly element = make("section", { class: "card picker", "aria-label": texts.chooseFiles });
  private readonly intro = make("div", { class: "intro" },
    make("img", { src: "./icon.svg", alt: "", width: "96", height: "96" }),
    make("p", {}, texts.claim),
    make("p", { class: "soft" }, texts.explanation));
  private readonly folders = make("ul", { class: "folders" });
  private readonly sources = make("details", { open: true });
  private readonly rest = make("div", { class: "actions" });
  private lastFocus: HTMLElement | null = null;

  /**
   * @param onSelect called with a selection, which is dropped if a task is running
   * @param onRemoveFolder called with the name of a stored folder that the user removes
   * @param showMessage called with a message for the user
   */
  constructor(
    private readonly catalog: Catalog,
    private readonly onSelect: (select: Select) => void,
    private readonly onRemoveFolder: (name: string) => void,
    private readonly showMessage: (text: string) => void,
  ) {
    this.sources.append(
      make("summary", {}, make("span", { class: "song-head" }, make("span", { class: "name" }, texts.addMusic))),
      this.folders,
      make("div", { class: "actions" }, this.folderButton(), this.filesButton()));
    if (HAS_MOUSE.matches) this.sources.append(make("p", { class: "soft small" }, texts.dropHint));
    this.element.append(this.intro, this.rest, this.sources);
    this.addDropTarget();
  }

  /** Hide the card while a task is running; when it is shown again, its button regains the focus. */
  setHidden(hidden: boolean): void {
    const focused = document.activeElement as HTMLElement;
    this.element.hidden = hidden;
    if (!hidden && focused === document.body) this.lastFocus?.focus({ preventScroll: true });
    this.lastFocus = hidden && this.element.contains(focused) ? focused : null;
  }

  /** Make the card small if there is a library below it. */
  setCompact(compact: boolean): void {
    if (compact !== this.intro.hidden) this.sources.open = !compact;
    this.intro.hidden = compact;
    this.element.classList.toggle("compact", compact);
  }

  /** Show a button for each folder that the browser stored at an earlier visit. */
  async showFolders(): Promise<void> {
    const folders = await this.catalog.folders();
    this.folders.replaceChildren(...Array.from(folders, ([name, folder]) => {
      const remove = button(texts.removeFolder, () => this.onRemoveFolder(name), "quiet");
      remove.setAttribute("aria-label", texts.removeFolderNamed(name));
      return make("li", {},
        button(texts.continueFolder(name), () => this.onSelect(() => this.reopen(folder, name)), "main"), remove);
    }));
  }

  /** Show a button for the remaining songs of a stopped scan. */
  showRest(count: number, onClick: () => void): void {
    this.rest.replaceChildren(...(count ? [button(texts.scanRest(count), onClick, "main")] : []));
  }

  clear(): void {
    this.folders.replaceChildren();
    this.rest.replaceChildren();
  }

  private folderButton(): HTMLElement {
    if (window.showDirectoryPicker) {
      return button(texts.chooseFolder, () => this.onSelect(() => this.openFolder()), "main");
    }
    return this.inputButton(texts.chooseFolder, make("input", { ...HIDDEN_INPUT, webkitdirectory: true }), "main");
  }

  private filesButton(): HTMLElement {
    return this.inputButton(texts.chooseFiles, make("input", { ...HIDDEN_INPUT, accept: ACCEPT }), "");
  }

  private inputButton(text: string, input: HTMLInputElement, style: string): HTMLElement {
    input.addEventListener("change", () => {
      const selection = fromInput(input.files ?? []);
      input.value = ""; // without this, the same selection triggers no second event
      this.onSelect(async () => selection);
    });
    return make("span", {}, button(text, () => input.click(), style), input);
  }

  private async openFolder(): Promise<Selection | null> {
    let folder: FileSystemDirectoryHandle;
    try {
      folder = await window.showDirectoryPicker!({ id: "music", mode: "read", startIn: "music" });
    } catch (error) {
      const cancelled = error instanceof DOMException && error.name === "AbortError";
      if (!cancelled) this.showMessage(texts.folderRefused);
      return null;
    }
    const name = await this.catalog.saveFolder(folder).catch(() => null); // not supported by every browser
    await this.showFolders();
    if (name !== null) return this.list(folder, name);
    // Another folder may have the same name, so a song that is missing here is not marked vanished.
    return { ...(await this.list(folder, folder.name)), folder: null };
  }

  private async reopen(folder: FileSystemDirectoryHandle, name: string): Promise<Selection | null> {
    const permission = await folder.requestPermission?.({ mode: "read" });
    if (permission === "granted") return this.list(folder, name);
    this.showMessage(texts.folderRefused);
    return null;
  }

  private list(folder: FileSystemDirectoryHandle, name: string): Promise<Selection> {
    this.showMessage(texts.searching);
    return fromFolder(folder, name);
  }

  private addDropTarget(): void {
    const overlay = make("div", { class: "overlay", hidden: true }, texts.dropNow);
    document.body.append(overlay);
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      overlay.hidden = this.element.hidden;
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) overlay.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      overlay.hidden = true;
      const items = event.dataTransfer?.items;
      if (items) this.onSelect(() => this.readDrop(items));
    });
  }

  private readDrop(items: DataTransferItemList): Promise<Selection> {
    this.showMessage(texts.searching);
    return fromDrop(items);
  }
}
