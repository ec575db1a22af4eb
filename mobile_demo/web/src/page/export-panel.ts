/** Card that saves the results as files, or passes them to the phone's share sheet. */
import { errorText } from "../errors.ts";
import { writePlaylists } from "../playlist-folder.ts";
import { commonRoot, makePlaylists } from "../rules/playlists.ts";
import { toCsv, toJson } from "../rules/serialize.ts";
import type { LibrarySong } from "../rules/song.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

/** Name and type of the file of each format. */
const FORMATS = {
  playlists: { name: "playlists.zip", type: "application/zip" },
  picture: { name: "genres.png", type: "image/png" },
  csv: { name: "genres.csv", type: "text/csv" },
  json: { name: "genres.json", type: "application/json" },
} as const;

type Format = keyof typeof FORMATS;
type Playlists = ReadonlyMap<string, string>;

/** Time after which a browser has started a download. */
const DOWNLOAD_MS = 1_000;

export class ExportPanel {
  readonly element = make("details", { class: "card export" });
  private readonly message = make("p", { class: "soft small", role: "status" });

  /**
   * @param songs returns the songs to export
   * @param labels returns the model's genres
   * @param folders returns the stored folders by the first part of their songs' paths
   */
  constructor(
    private readonly songs: () => readonly LibrarySong[],
    private readonly labels: () => readonly string[],
    private readonly folders: () => Promise<ReadonlyMap<string, FileSystemDirectoryHandle>>,
  ) {
    const formats = Object.keys(FORMATS) as Format[];
    const unshared = formats.filter((format) => !canShare(emptyFile(format))).map((format) => texts.export[format]);
    this.element.append(
      make("summary", {}, make("span", { class: "song-head" }, make("span", { class: "name" }, texts.export.title))),
      make("ul", {}, ...formats.map((format) => this.row(format))),
      this.message,
      make("p", { class: "soft small" }, texts.export.note),
    );
    if (unshared.length) {
      const some = unshared.length < formats.length ? unshared : [];
      this.element.append(make("p", { class: "soft small" }, texts.export.unshared(some)));
    }
  }

  private row(format: Format): HTMLElement {
    const text = texts.export[format];
    const share = canShare(emptyFile(format)) && button(texts.export.share, () => this.run(() => this.share(format)), "quiet");
    if (share) share.setAttribute("aria-label", `${texts.export.share} ${text}`);
    return make("li", {}, button(text, () => this.run(() => this.save(format))), share);
  }

  /** Run an export, and show its message or its error. */
  private run(task: () => Promise<string>): void {
    if (this.songs().length === 0) this.message.textContent = texts.export.nothing;
    else void task().catch((error) => texts.errors.other(errorText(error))).then((text) => (this.message.textContent = text));
  }

  /** Save a file, or the playlists in the music folder if the browser allows it. */
  private async save(format: Format): Promise<string> {
    if (format !== "playlists") {
      downloadFile(await this.file(format));
      return "";
    }
    const { files, notes } = await this.playlists();
    if (files.size === 0) return notes.join(" ");
    const root = commonRoot(this.songs());
    const folder = (await this.folders()).get(root);
    if (folder) {
      try {
        const { written, kept } = await writePlaylists(folder, files);
        notes.unshift(texts.export.written(written, root), ...(kept.length ? [texts.export.kept(kept)] : []));
        return notes.join(" ");
      } catch (error) {
        notes.unshift(texts.export.notWritten(root, errorText(error)));
      }
    }
    downloadFile(await zip(files));
    return notes.join(" ");
  }

  /** Open the share sheet with a file; save the file if the browser refuses to share it. */
  private async share(format: Format): Promise<string> {
    const { files, notes } = format === "playlists" ? await this.playlists() : { files: null, notes: [] as string[] };
    if (files?.size === 0) return notes.join(" ");
    const file = await (files ? zip(files) : this.file(format as Exclude<Format, "playlists">));
    try {
      await navigator.share({ files: [file] });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) { // the user did not close the sheet
        downloadFile(file);
        notes.unshift(texts.export.savedInstead(file.name));
      }
    }
    return notes.join(" ");
  }

  private async file(format: Exclude<Format, "playlists">): Promise<File> {
    const songs = this.songs();
    if (format === "csv") return fileOf(format, toCsv(songs, this.labels()));
    if (format === "json") return fileOf(format, toJson(songs));
    const { drawPicture } = await import("./picture.ts"); // the page starts faster without it
    return fileOf(format, await drawPicture(songs, this.labels()));
  }

  /** Make the playlists, and notes about songs that they lack. */
  private async playlists(): Promise<{ files: Playlists; notes: string[] }> {
    const songs = this.songs();
    const { files, leftOut } = await makePlaylists(songs, commonRoot(songs));
    if (leftOut.length) return { files, notes: [texts.export.leftOut(leftOut.length)] };
    return { files, notes: files.size ? [] : [texts.export.nothing] };
  }
}

async function zip(playlists: Playlists): Promise<File> {
  const { strToU8, zipSync } = await import("fflate"); // the page starts faster without it
  const entries = Array.from(playlists, ([name, content]) => [name, strToU8(content)] as const);
  return fileOf("playlists", zipSync(Object.fromEntries(entries)));
}

function fileOf(format: Format, content: BlobPart): File {
  const { name, type } = FORMATS[format];
  return new File([content], name, { type });
}

function emptyFile(format: Format): File {
  return fileOf(format, "");
}

function canShare(file: File): boolean {
  return navigator.canShare?.({ files: [file] }) ?? false;
}

export function downloadFile(file: File): void {
  const href = URL.createObjectURL(file);
  make("a", { href, download: file.name }).click();
  setTimeout(() => URL.revokeObjectURL(href), DOWNLOAD_MS);
}
