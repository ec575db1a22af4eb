/** Names that the manifest, the service worker and the page use for songs from the share sheet. */
export const SHARE = {
  /** Path to which the share sheet sends songs. The service worker answers it; no server has it. */
  path: "share",
  /** Field of the form with the songs. */
  field: "songs",
  /** Hash of the address at which the page takes the songs. */
  hash: "#shared",
  /** Message with which the page takes the songs. */
  take: "take shared songs",
} as const;
