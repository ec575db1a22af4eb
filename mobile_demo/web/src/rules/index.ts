/** The rules that the Python package and the page share; tests hold one against the other. */
export * from "./card.ts";
export * from "./errors.ts";
export * from "./finding.ts";
export * from "./format.ts";
export * from "./label.ts";
export * from "./listening.ts";
export * from "./playlists.ts";
export * from "./resample.ts";
export * from "./results.ts";
export * from "./rounding.ts";
export * from "./segments.ts";
export * from "./song.ts";
export * from "./text.ts";
export * from "./timeline.ts";
export * from "./vote.ts";
