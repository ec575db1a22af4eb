/** Constants that the page shares with the Python package; both read them from one file. */
import constants from "../../../../pocketgenre/constants.json";

/** File name endings of songs. */
export const SONG_SUFFIXES: readonly string[] = constants.song_suffixes;

/** Codecs of copy-protected MP4 files: Apple's store until 2009, and common encryption. */
export const PROTECTED_CODECS: readonly string[] = constants.protected_codecs;

/** Level below which a segment is silent, in dB of full scale. */
export const SILENCE_DECIBELS = constants.silence_decibels;

/** Distance below a song's loudest segment from which a segment is silent, in dB. */
export const SILENCE_RANGE_DECIBELS = constants.silence_range_decibels;

/** Shortest song, in seconds. A song shorter than a segment is repeated to fill one. */
export const MIN_SONG_SECONDS = constants.min_song_seconds;

/** Largest part of a song that the page classifies, in seconds. Longer songs are sampled. */
export const MAX_PAGE_SONG_SECONDS = constants.max_page_song_seconds;

/** Length of each excerpt of a longer song, in seconds. */
export const EXCERPT_SECONDS = constants.page_excerpt_seconds;

/** Genre of a song whose prediction is below the thresholds. */
export const UNCERTAIN = constants.uncertain;

/** Label of speech, noise and effects, for models that have it among their labels. */
export const NOT_MUSIC = constants.not_music;

/** Number of segments above which more segments do not raise a confidence. */
export const CONFIDENCE_MAX_SEGMENTS = constants.confidence_max_segments;

/** Number of genres in a prediction's `top`. */
export const TOP_GENRES = constants.top_genres;

/** Length of a timeline's windows, in seconds. */
export const WINDOW_SECONDS = constants.timeline_window_seconds;

/** Lead in mean probability that another genre needs in a window to start a new part. */
export const MIN_LEAD = constants.timeline_min_lead;

/** Largest number of windows in a drawing of the timeline. */
export const MAX_WINDOWS = constants.timeline_max_windows;

/** Settings with which a last layer is learned; pocketgenre/constants.py explains them. */
export const LEARNING = constants.learning;

/** Comment in a playlist's second line, before the hash of the lines that follow. */
export const PLAYLIST_HASH_PREFIX = constants.playlist_hash_prefix;
