/** Card that saves the results as files, or passes them to the phone's share sheet. */
import { commonRoot, makePlaylists } from "../rules/playlists.ts";
import { toCsv, toJson } from "../rules/serialize.ts";
import type { LibrarySong } from "../rules/song.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

type Format = "playlists" | "picture" | "csv" | "json";

/** Delay between downloads. Browsers ask the user before several downloads at once. */
const DOWNLOAD_DELAY_MS = 250;

export class ExportPanel {
  readonly element = make("details", { class: "card export" });
  private readonly message = make("p", { class: "soft small", role: "status" });

  /**
   * @param songs returns the songs to export
   * @param labels returns the model's genres
   */
  constructor(
    private readonly songs: () => readonly LibrarySong[],
    private readonly labels: () => readonly string[],
  ) {
    this.element.append(
      make("summary", {}, make("span", { class: "song-head" }, make("span", { class: "name" }, texts.export.title))),
      make("ul", {}, this.row("playlists"), this.row("picture"), this.row("csv"), this.row("json")),
      this.message,
      make("p", { class: "soft small" }, texts.export.note),
    );
  }

  private row(format: Format): HTMLElement {
    const text = texts.export[format];
    const share = canShare() && button(texts.export.share, () => void this.export(format, shareFiles), "quiet");
    if (share) share.setAttribute("aria-label", `${texts.export.share} ${text}`);
    return make("li", {}, button(text, () => void this.export(format, downloadFiles)), share);
  }

  private async export(format: Format, deliver: (files: File[]) => Promise<void>): Promise<void> {
    const { files, leftOut } = await this.files(format);
    if (leftOut) this.message.textContent = texts.export.leftOut(leftOut);
    else this.message.textContent = files.length ? "" : texts.export.nothing;
    if (files.length) await deliver(files);
  }

  private async files(format: Format): Promise<{ files: File[]; leftOut: number }> {
    const songs = this.songs();
    if (format === "csv") {
      const content = toCsv(songs, this.labels());
      return { files: [new File([content], "genres.csv", { type: "text/csv" })], leftOut: 0 };
    }
    if (format === "json") {
      return { files: [new File([toJson(songs)], "genres.json", { type: "application/json" })], leftOut: 0 };
    }
    if (format === "picture") {
      const { drawPicture } = await import("./picture.ts"); // the page starts faster without it
      const content = await drawPicture(songs, this.labels());
      return { files: [new File([content], "genres.png", { type: "image/png" })], leftOut: 0 };
    }
    const playlists = await makePlaylists(songs, commonRoot(songs));
    const files = Array.from(playlists.files, ([name, content]) =>
      new File([content], name, { type: "audio/x-mpegurl" }));
    return { files, leftOut: playlists.leftOut.length };
  }
}

function canShare(): boolean {
  const example = new File(["a"], "genres.csv", { type: "text/csv" });
  return navigator.canShare?.({ files: [example] }) ?? false;
}

async function shareFiles(files: File[]): Promise<void> {
  // Share sheets accept text files but not every playlist type, and a playlist is text.
  const asText = files.map((file) => new File([file], file.name, { type: shareType(file.type) }));
  try {
    await navigator.share({ files: navigator.canShare({ files }) ? files : asText });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) await downloadFiles(files);
  }
}

function shareType(type: string): string {
  return type === "text/csv" || type === "image/png" ? type : "text/plain";
}

export async function downloadFiles(files: File[]): Promise<void> {
  for (const file of files) {
    const href = URL.createObjectURL(file);
    make("a", { href, download: file.name }).click();
    await new Promise((resolve) => setTimeout(resolve, DOWNLOAD_DELAY_MS));
    URL.revokeObjectURL(href);
  }
}
