/** What the page must know of a model: the part of its card (mobile_demo/card.py) that it uses. */
export interface ModelCard {
  /** Genres in the order of the network's outputs. */
  readonly labels: readonly string[];
  readonly front_end: {
    /** Samples per second, in Hz. */
    readonly sample_rate: number;
    /** Length of one segment, in samples. */
    readonly segment_samples: number;
  };
  /** Of the model file, in hexadecimal. */
  readonly sha256: string;
}

/** Length of one segment in seconds. */
export function segmentSeconds(card: ModelCard): number {
  return card.front_end.segment_samples / card.front_end.sample_rate;
}
