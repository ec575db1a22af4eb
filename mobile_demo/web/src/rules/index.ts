/** Rules that the page shares with the Python package; tests compare the two. */
export * from "./audio-format.ts";
export * from "./confidence.ts";
export * from "./constants.ts";
export * from "./discovery.ts";
export * from "./excerpt.ts";
export * from "./model-card.ts";
export * from "./playlists.ts";
export * from "./prediction.ts";
export * from "./resample.ts";
export * from "./rounding.ts";
export * from "./sampling.ts";
export * from "./segments.ts";
export * from "./serialize.ts";
export * from "./silence.ts";
export * from "./song.ts";
export * from "./text.ts";
export * from "./timeline.ts";
