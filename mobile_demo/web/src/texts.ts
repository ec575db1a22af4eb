/** Every word that the page shows. Another language is another file like this one. */

const number = new Intl.NumberFormat("en");
const count = (n: number, one: string, many: string) => `${number.format(n)} ${n === 1 ? one : many}`;
const songs = (n: number) => count(n, "song", "songs");
const minutes = (n: number) => count(n, "minute", "minutes");
const megabytes = (bytes: number) => `${number.format(Math.round(bytes / 2 ** 20))} MB`;

/** What stands in the page's head and in the manifest; vite.config.ts puts it there. */
export const app = {
  name: "pocketgenre",
  description: "Sorts the songs on this device by genre: on the device itself, offline.",
  scriptless: "This page needs JavaScript: it listens to your songs on this device.",
};

/** Why a song has no label; the others are those of the rules, as scan-library words them. */
export const reasons = {
  empty: "the file is empty",
  notAudio: "not audio in a format that this browser can decode",
  tooLarge: (bytes: number, most: number) =>
    `too large: ${megabytes(bytes)}, this page takes files of up to ${megabytes(most)}`,
  tooLargeDecoded: (bytes: number, most: number) =>
    `too large once decoded: ${megabytes(bytes)}, this page takes up to ${megabytes(most)}`,
  tooLong: (seconds: number, most: number) =>
    `too long: ${minutes(Math.round(seconds / 60))}, this page takes songs of up to ${most}`,
  unreadable: (why: string) => `cannot be read${why ? `: ${why.replace(/\.$/, "")}` : ""}`,
  killed: "the browser ended this page over it three times, so it is left out",
  other: (why: string) => `it cannot be heard: ${why}`,
};

export const texts = {
  title: app.name,
  claim: "Your songs by genre. Sorted on this device, offline.",
  how: "Each song is heard in pieces of 3 seconds by a small network, and the pieces vote.",
  promise: "Nothing leaves this device: no song, no name, no result.",
  pickFolder: "Choose a music folder",
  pickFiles: "Choose songs",
  dropHere: "or drop a folder or songs anywhere on this page",
  dropNow: "Drop to sort these songs",
  goOn: (folder: string) => `Go on with “${folder}”`,
  hearRest: (n: number) => `Listen to the ${songs(n)} not yet heard`,
  lookingInto: "Looking for songs…",
  gettingReady: "Getting the network ready…",
  noSongs: "There are no songs in what you chose.",
  nothingNew: "Every song you chose is already labelled.",
  unlistable: (n: number) => `${count(n, "folder or file", "folders or files")} could not be looked into.`,
  folderRefused: "The browser didn't allow that folder. Choose it again, or choose songs.",
  working: {
    title: "Listening",
    paused: "Paused",
    progress: (done: number, all: number) => `${number.format(done)} of ${songs(all)}`,
    bar: "Songs heard",
    left: (seconds: number) => {
      if (seconds < 55) return "less than a minute left";
      if (seconds < 3_300) return `about ${minutes(Math.round(seconds / 60))} left`;
      return `about ${count(Math.round(seconds / 360) / 10, "hour", "hours")} left`;
    },
    pause: "Pause",
    resume: "Go on",
    stop: "Stop",
    keepOpen: "Keep this page open. If it is closed, choose the same folder again and it goes on.",
    finished: (n: number) => `Done: ${songs(n)} heard.`,
    stopped: (n: number) => `Stopped after ${songs(n)}. What was heard is kept.`,
    broken: (why: string) => `The network can't run here: ${why}. Reload the page and try again.`,
  },
  library: {
    title: "Your library",
    summary: (all: number, uncertain: number, failed: number) =>
      [songs(all), uncertain && `${number.format(uncertain)} uncertain`,
        failed && `${number.format(failed)} could not be labelled`].filter(Boolean).join(" · "),
    search: "Search songs and folders",
    order: "Order",
    orders: { name: "by name", sure: "surest first", unsure: "surest last" },
    genres: "Show one genre",
    all: "all",
    uncertain: "uncertain",
    failed: "could not be labelled",
    found: (n: number) => `${songs(n)} found`,
    again: "Try these again",
    againLater: "Stop this scan or let it end, then try these again.",
    againPick: "Choose their folder or the songs again; they will be tried anew.",
  },
  song: {
    confidence: "confidence",
    byYou: "by you",
    percent: (share: number) => `${Math.round(share * 100)} %`,
    votes: (n: number, all: number, genre: string) =>
      `${number.format(n)} of ${count(all, "segment", "segments")} of 3 s voted for ${genre}.`,
    heardAs: (genre: string) => `The network heard ${genre}.`,
    timeline: (parts: string) => `Timeline: ${parts}`,
    from: (genre: string, time: string) => `${genre} from ${time}`,
    genre: "Genre",
    asHeard: (genre: string) => `as heard: ${genre}`,
    forget: "Take off the list",
    inIt: "Genres in it",
  },
  save: {
    title: "Save or share",
    playlists: "Playlists (M3U8)",
    csv: "Table (CSV)",
    json: "Data (JSON)",
    share: "Share…",
    note: "Playlists go into the music folder itself; players then find the songs. What is shown below is what is saved.",
    leftOut: (n: number) => `${songs(n)} left out: their names can't stand in a playlist.`,
    nothing: "There is nothing to save yet.",
  },
  settings: {
    title: "Settings",
    open: "Settings",
    model: "Network",
    models: { best: "best: 80 of 100 songs right", standard: "standard: smaller, 65 of 100 right" },
    modelNote: "Each network keeps its own list. Figures: 422 songs it had not heard, ten genres.",
    vote: "Vote",
    votes: { majority: "a voice for each segment", probability: "by the segments' probabilities" },
    confidence: "Call a song uncertain below this share of the vote",
    margin: "…or if the next genre is this close",
    off: "never",
    close: "Done",
    forgetAll: "Forget everything",
    forgetSure: "Forget every label and correction on this device? Your songs are not touched.",
  },
  offline: {
    ready: "Ready for flight mode.",
    install: "Install",
    update: "A new version is ready.",
    reload: "Reload",
    later: "Later",
    updateScan: "Results are kept; a scan goes on where it was.",
  },
  trouble: {
    title: "This browser can't do it",
    database: "This browser keeps nothing for this page (a private window, perhaps). Open it in a normal window.",
    missing: (what: string) => `This browser has no ${what}; a current Chrome, Firefox or Safari has.`,
    storage: "The browser has no room left for results. Free some storage, then go on.",
    other: (why: string) => `Something went wrong: ${why}`,
  },
};
