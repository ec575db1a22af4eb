/** Results as files: saved, or handed to the phone's share sheet. */
import { commonRoot, makePlaylists } from "../rules/playlists.ts";
import { toCsv, toJson } from "../rules/results.ts";
import type { Judgement, LabelledSong } from "../rules/song.ts";
import { texts } from "../texts.ts";
import { button, make } from "./dom.ts";

type Kind = "playlists" | "csv" | "json";

/** Browsers ask before a page saves many files at once; one after another they let through. */
const BETWEEN_FILES_MS = 250;

export class Save {
  readonly element = make("details", { class: "card saving" });
  private readonly told = make("p", { class: "soft small", role: "status" });

  constructor(private readonly shown: () => readonly LabelledSong[], private readonly how: () => Judgement) {
    const row = (kind: Kind) => {
      const share = canShare() && button(texts.save.share, () => void this.run(kind, shareFiles), "quiet");
      if (share) share.setAttribute("aria-label", `${texts.save.share} ${texts.save[kind]}`);
      return make("li", {}, button(texts.save[kind], () => void this.run(kind, saveFiles)), share);
    };
    this.element.append(
      make("summary", {}, make("span", { class: "head" }, make("span", { class: "name" }, texts.save.title))),
      make("ul", {}, row("playlists"), row("csv"), row("json")),
      this.told,
      make("p", { class: "soft small" }, texts.save.note),
    );
  }

  private async run(kind: Kind, give: (files: File[]) => Promise<void>): Promise<void> {
    const { files, leftOut } = await this.files(kind);
    this.told.textContent = leftOut ? texts.save.leftOut(leftOut) : files.length ? "" : texts.save.nothing;
    if (files.length) await give(files);
  }

  private async files(kind: Kind): Promise<{ files: File[]; leftOut: number }> {
    const songs = this.shown();
    const how = this.how();
    if (kind === "csv") {
      return { files: [new File([toCsv(songs, how)], "genres.csv", { type: "text/csv" })], leftOut: 0 };
    }
    if (kind === "json") {
      const content = toJson(songs, how);
      return { files: [new File([content], "genres.json", { type: "application/json" })], leftOut: 0 };
    }
    const playlists = await makePlaylists(songs, how.seconds, commonRoot(songs));
    const files = Array.from(playlists.files, ([name, content]) =>
      new File([content], name, { type: "audio/x-mpegurl" }));
    return { files, leftOut: playlists.leftOut.length };
  }
}

function canShare(): boolean {
  const probe = new File(["a"], "genres.csv", { type: "text/csv" });
  return navigator.canShare?.({ files: [probe] }) ?? false;
}

async function shareFiles(files: File[]): Promise<void> {
  // Share sheets take text files; a playlist is one, by any other name it would be refused.
  const plain = files.map((file) => new File([file], file.name, { type: shareType(file.type) }));
  try {
    await navigator.share({ files: navigator.canShare({ files }) ? files : plain });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) await saveFiles(files);
  }
}

function shareType(type: string): string {
  return type === "text/csv" ? type : "text/plain";
}

async function saveFiles(files: File[]): Promise<void> {
  for (const file of files) {
    const href = URL.createObjectURL(file);
    make("a", { href, download: file.name }).click();
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_FILES_MS));
    URL.revokeObjectURL(href);
  }
}
