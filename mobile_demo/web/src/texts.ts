/** All texts of the page. A translation is another file with the same keys. */
import { NOT_MUSIC } from "./rules/constants.ts";
import { countOf, printable } from "./rules/text.ts";

const number = (n: number) => n.toLocaleString("en");
const percent = (share: number) => `${Math.round(share * 100)} %`;
const megabytes = (bytes: number) => `${number(Math.round(bytes / 2 ** 20))} MB`;

/** Texts of index.html and the manifest, which vite.config.ts inserts. */
export const app = {
  name: "pocketgenre",
  description: "Sorts the songs on this device by genre: on the device itself, offline.",
  scriptless: "This page needs JavaScript to classify your songs on this device.",
};

/** Reasons why a song has no genre. Those in rules/ have the same wording as in scan-library. */
export const reasons = {
  empty: "the file is empty",
  notAudio: "not audio in a format that this browser can decode",
  noAudio: "it holds no audio",
  protected: "it is copy-protected and cannot be decoded",
  codec: (name: string | null) =>
    name === null ? reasons.notAudio : `${codecName(name)}, which this browser cannot decode`,
  tooLarge: (bytes: number, limit: number) => `too large: ${megabytes(bytes)}, the limit is ${megabytes(limit)}`,
  tooLargeDecoded: (bytes: number, limit: number) =>
    `too large when decoded: ${megabytes(bytes)}, the limit is ${megabytes(limit)}`,
  tooLong: (seconds: number, limit: number) =>
    `too long: ${countOf(Math.round(seconds / 60), "minute")}, the limit is ${countOf(limit, "minute")}`,
  unreadable: (reason: string) => `cannot be read${reason ? `: ${reason.replace(/\.$/, "")}` : ""}`,
  killed: "skipped, because the browser closed this page three times during this song",
  other: (reason: string) => `cannot be classified: ${reason}`,
};

const CODECS: Readonly<Record<string, string>> = {
  aac: "AAC", ac3: "AC-3 (Dolby Digital)", alac: "Apple Lossless (ALAC)", dts: "DTS", eac3: "E-AC-3 (Dolby Digital Plus)",
  flac: "FLAC", mp3: "MP3", opus: "Opus", vorbis: "Vorbis",
};

/** Return the usual name of a codec; the identifier of an unknown one is shown in capitals. */
function codecName(id: string): string {
  return CODECS[id.toLowerCase()] ?? printable(id.trim().toUpperCase());
}

type Counted = "total" | "uncertain" | "notMusic" | "partial" | "failed";

/** Return the name of a label for display. */
export function labelName(label: string): string {
  return label === NOT_MUSIC ? "no music" : label;
}

export const texts = {
  title: app.name,
  claim: "Your songs by genre. Sorted on this device, offline.",
  explanation: "A small neural network classifies each 3 seconds of a song. The most frequent genre wins.",
  promise: "Nothing leaves this device: no song, no file name, no result.",
  version: (version: string) => `Version ${version}`,
  chooseFolder: "Choose a music folder",
  chooseFiles: "Choose songs",
  dropHint: "or drop a folder or songs anywhere on this page",
  dropNow: "Drop to sort these songs",
  addMusic: "Add music",
  undo: "Undo",
  continueFolder: (folder: string) => `Continue with “${folder}”`,
  removeFolder: "Remove",
  removeFolderNamed: (folder: string) => `Remove the folder “${folder}”`,
  removeFolderConfirm: (folder: string) =>
    `Remove the folder “${folder}” and the results of its songs? Your corrections and the songs themselves stay.`,
  corrected: (song: string, genre: string) => `${song}: ${genre}.`,
  correctedMany: (n: number, genre: string | null) => `${countOf(n, "song")}: ${genre ?? "as predicted"}.`,
  removed: (song: string) => `${song} is no longer in the list.`,
  scanRest: (n: number) => `Scan ${countOf(n, "more song")}`,
  searching: "Searching for songs…",
  loadingModel: "Loading the model…",
  noSongs: "Your selection contains no songs.",
  nothingNew: "All songs of your selection already have a genre.",
  unreadable: (n: number) => `${countOf(n, "item")} could not be read.`,
  noShared: "The shared songs did not arrive. Share them again.",
  linkMissing: (target: "genre" | "song", value: string) =>
    target === "song" ? `${value} is not in your library.` : `Your library has no songs of the genre ${value}.`,
  folderRefused: "The browser did not allow access to that folder. Choose it again, or choose songs.",
  picture: {
    title: (n: number) => `${countOf(n, "song")} by genre`,
    legend: "Uncertain songs are pale here, and grey below.",
    folders: "Largest folders",
    years: "Years",
    decade: (year: number) => `${Math.floor(year / 10)}0s`,
    surprises: (n: number) => `${countOf(n, "surprise")} in the tags`,
    surprise: (stated: string, genre: string, confidence: number) =>
      `tag: ${stated}, predicted: ${genre} (${percent(confidence)})`,
    footer: `${app.name}: sorted on the device, offline.`,
  },
  review: {
    start: (n: number) => `Play and sort ${countOf(n, "uncertain song")}`,
    position: (n: number, total: number) => `Song ${number(n)} of ${number(total)}`,
    question: "Which genre is",
    other: "Another genre",
    skip: "Skip",
    stop: "Stop asking",
  },
  selection: {
    title: "Selected songs",
    start: "Select songs",
    pick: (song: string) => `Select ${song}`,
    count: (n: number) => `${countOf(n, "song")} selected`,
    choose: "Set their genre",
    asPredicted: "as predicted",
    all: "Select all shown",
    end: "End selection",
    like: (field: "artist" | "album", value: string) => `Select ${field} ${value}`,
  },
  player: {
    title: "Player",
    play: (song: string) => `Play ${song}`,
    pause: "Pause the song",
    resume: "Play the song",
    next: "Next in this genre",
    close: "Close the player",
    position: "Position in the song",
    noFile: (song: string) => `To play ${song}, choose its folder or the song again.`,
    unplayable: (song: string) => `This browser cannot play ${song}.`,
  },
  scan: {
    title: "Scanning",
    paused: "Paused",
    progress: (done: number, total: number) => `${number(done)} of ${countOf(total, "song")}`,
    bar: "Scanned songs",
    timeLeft: (seconds: number) => {
      if (seconds < 55) return "less than a minute left";
      if (seconds < 3_300) return `about ${countOf(Math.round(seconds / 60), "minute")} left`;
      return `about ${countOf(Math.round(seconds / 360) / 10, "hour")} left`;
    },
    pause: "Pause",
    resume: "Continue",
    stop: "Stop",
    keepOpen: "Keep this page open. If you close it, choose the same folder again to continue.",
    finished: (labelled: number, failed: number) =>
      `Done: ${countOf(labelled, "song")} labelled${failed ? `, ${number(failed)} not` : ""}.`,
    otherTab: "Another tab of this page is scanning. Its results also appear here.",
    otherModel: (model: string) =>
      `The scan has stopped. Its results are saved and return with its model; these are the ones of ${model}.`,
    pageTitle: (progress: string) => `${progress} – ${app.name}`,
    stopped: (n: number) => `Stopped after ${countOf(n, "song")}. Their results are saved.`,
    failed: (reason: string) => `The model cannot run: ${reason}. Reload the page and try again.`,
  },
  library: {
    title: "Your library",
    summary: ({ total, uncertain, notMusic, partial, failed }: Record<Counted, number>) =>
      [
        countOf(total, "song"),
        uncertain && `${number(uncertain)} uncertain`,
        notMusic && `${number(notMusic)} without music`,
        partial && `${number(partial)} partial`,
        failed && `${number(failed)} failed`,
      ].filter(Boolean).join(" · "),
    legend: "Right of a title: the confidence in its genre. Below it: the most probable genres.",
    search: "Search songs and artists",
    order: "Order",
    orders: { name: "by name", highest: "highest confidence", lowest: "lowest confidence" },
    genres: "Show one genre",
    all: "all",
    uncertain: "uncertain",
    correct: "Open a song to set its genre.",
    notMusic: "without music",
    failed: "failed",
    found: (n: number) => `${countOf(n, "song")} found`,
    retry: "Try these again",
    retryLater: "Wait for the scan to finish, or stop it, before you try these again.",
    retrySelect: "Choose their folder or the songs again to repeat them.",
  },
  song: {
    confidence: "confidence",
    byYou: "your choice",
    percent,
    votes: (n: number, total: number, genre: string) =>
      `${number(n)} of ${countOf(total, "segment")} of 3 s voted for ${genre}.`,
    silent: (n: number) => `${countOf(n, "silent segment")} did not vote.`,
    mostLikely: (genre: string, confidence: number) => `most likely ${genre}, ${percent(confidence)}`,
    partial: (analyzed: string, duration: string) => `partial: ${analyzed} of ${duration} classified`,
    partialUnknown: "partial: its end was not classified",
    predicted: (genre: string) => `Predicted genre: ${genre}.`,
    timeline: (parts: string) => `Timeline: ${parts}`,
    part: (genre: string, time: string) => `${genre} from ${time}`,
    genre: "Genre",
    noPrediction: "none",
    usePrediction: (genre: string) => `as predicted: ${genre}`,
    remove: "Remove from the list",
    shares: "Genres in this song",
  },
  export: {
    title: "Save or share",
    playlists: "Playlists (M3U8)",
    picture: "Picture (PNG)",
    csv: "Table (CSV)",
    json: "Data (JSON)",
    share: "Share…",
    note: "Only the songs shown below are saved. Playlists go into the music folder, if the browser stores it and you allow that; otherwise unpack the zip file there, so that players find the songs.",
    unshared: (formats: readonly string[]) =>
      formats.length ? `This browser cannot share: ${formats.join(", ")}.` : "This browser cannot share files.",
    savedInstead: (file: string) => `The browser refused to share ${file}, so it was saved.`,
    written: (n: number, folder: string) => `${countOf(n, "playlist")} saved in “${folder}”.`,
    kept: (files: readonly string[]) =>
      `Not replaced, because this page did not write them: ${files.join(", ")}. Rename these files and save again.`,
    notWritten: (folder: string, reason: string) =>
      `“${folder}” cannot be written to: ${reason.replace(/\.$/, "")}. The playlists were saved as a zip file.`,
    leftOut: (n: number) => `${countOf(n, "song")} left out: a playlist cannot contain such file names.`,
    nothing: "There is nothing to save yet.",
  },
  ownGenre: {
    option: "a genre of your own…",
    name: "Name of the genre",
    set: "Set",
    invalid: "Write a name of at most 100 letters.",
  },
  learn: {
    title: "Your own genres",
    explanation: "Set the genre of some songs below, also one of your own. Then press Learn: the page takes these songs as examples and sorts the other songs again.",
    examples: (examples: readonly (readonly [genre: string, n: number])[]) =>
      examples.length ? `Examples: ${examples.map(([genre, n]) => `${genre} ${number(n)}`).join(" · ")}` : "No examples yet.",
    few: (genres: readonly string[], wanted: number) =>
      `Too few examples: ${genres.join(", ")}. Give at least ${wanted} of each, by several artists.`,
    missingExamples: (n: number) =>
      `${countOf(n, "example")} can't be used yet, because this version of the page has not scanned them. Press Learn, then add their folder or the songs again.`,
    missingOthers: (n: number) =>
      `${countOf(n, "song")} keep the built-in genres, because this version of the page has not scanned them. Add their folder or the songs again.`,
    only: "Only the genres of my examples",
    learn: "Learn",
    learning: "Learning…",
    later: "Wait for the scan to finish, or stop it, before you change the genres.",
    changed: (n: number) => (n ? `${countOf(n, "song")} now in another genre.` : "No song changed its genre."),
    change: (before: string, after: string) => `${before} → ${after}`,
    more: (n: number) => `and ${countOf(n, "more song")}`,
    undone: "The genres are as before.",
    tested: (correct: number, total: number) =>
      `Tried on examples of other artists and albums: ${number(correct)} of ${number(total)} get your genre.`,
    untested: "How well this works cannot be tried yet: give a genre examples of two artists or albums.",
    confused: (one: string, other: string) =>
      `${one} and ${other} are hard to tell apart. Give more examples, or use one name for both.`,
    save: "Save my genres",
    open: "Open saved genres",
    reset: "Use the built-in genres",
    note: "Saved genres also work in scan-library, and this page opens those of learn-genres.",
    noExamples: "There is no example to learn from. Set the genre of some songs, or scan them again.",
    oneGenre: (genre: string) =>
      `${labelName(genre)} is the only genre. Give examples of another one, or keep the built-in genres.`,
    tooMany: (n: number, limit: number) => `${countOf(n, "genre")} are too many; at most ${number(limit)} can be learned. Use fewer names.`,
    incomplete: "Choose the .tflite file together with its .json file, or the .zip file that this page saved.",
    badCard: "The .json file does not describe a model with genres. Save the genres again.",
    otherCard: "The .json file describes another .tflite file. Choose the two that were saved together.",
    notTeachable: "This file is not a model with learned genres. Choose one that this page or learn-genres saved.",
    otherNetwork: "These genres were learned with another model. Learn them with this version of learn-genres and its model best.",
  },
  settings: {
    title: "Settings",
    open: "Settings",
    model: "Model",
    models: { best: "best: 80 % correct", standard: "standard: smaller, 65 % correct" },
    ownModel: (name: string) => `${name}: your model`,
    modelNote: "Each model has its own list. Best and standard were measured on 422 held-out songs of ten genres.",
    vote: "Vote",
    votes: { majority: "one vote per segment", probability: "mean probability of the segments" },
    confidence: "Uncertain if the confidence is below",
    margin: "Uncertain if the margin to the next genre is below",
    off: "never",
    ofModel: (threshold: string) => `recommended: ${threshold}`,
    confidenceNote: "The confidence is the probability that the genre is correct, or, for a model without calibration, its share of the votes.",
    close: "Done",
    clear: "Delete all results",
    clearConfirm: "Delete all results and corrections on this device? Your songs are not changed.",
  },
  backup: {
    save: "Save a backup",
    restore: "Restore a backup",
    restored: (n: number) => `The backup has added ${countOf(n, "result")}. What was stored before has not changed.`,
    invalid: "This file is not a backup of this page. Choose a file that “Save a backup” wrote.",
    kept: "The browser keeps the results until you delete them.",
    notKept: "The browser may delete the results if the device runs out of space. A backup keeps them.",
  },
  offline: {
    ready: "Ready for offline use.",
    readyIos: "Ready for offline use. To install this page, choose Share, then Add to Home Screen.",
    unavailable: "Not available offline: this needs a normal window and an address with HTTPS.",
    install: "Install",
    update: "A new version is available.",
    reload: "Reload",
    later: "Later",
    updateScan: "Your results stay, and a scan is not interrupted.",
    afterScan: "The new version starts when the scan has ended.",
    stopScan: "Stop the scan",
  },
  errors: {
    title: "This browser cannot run the page",
    database: "This browser cannot store results, perhaps because the window is private. Open a normal window.",
    missing: (feature: string) => `This browser lacks ${feature}. Use a current Chrome, Firefox or Safari.`,
    storage: "The browser has no space left for results. Free some storage and continue.",
    other: (reason: string) => `An error occurred: ${reason}`,
  },
};
