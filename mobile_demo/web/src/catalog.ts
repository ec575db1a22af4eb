/** Store songs, corrections, folders and settings in the browser's IndexedDB. */
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB, type StoreNames } from "idb";
import type { Backup } from "./backup.ts";
import { type LearnedHead, predictRows } from "./learning/head.ts";
import type { Correction, Song } from "./rules/song.ts";
import type { Cover } from "./tags.ts";

/** A stored song. It stays stored if it is missing from its folder, because it may return. */
interface StoredSong extends Song {
  readonly vanished?: boolean;
}

interface Schema extends DBSchema {
  songs: { key: [model: string, path: string]; value: StoredSong };
  /** The user's genre by the hash of the song's content, or by its path if the hash is unknown. */
  corrections: { key: string; value: string };
  /** Number of unfinished attempts at a song, during which the browser closed the page. */
  attempts: { key: string; value: number };
  /** Covers by identifier. */
  covers: { key: string; value: Blob };
  folders: { key: string; value: FileSystemDirectoryHandle };
  settings: { key: string; value: unknown };
  features: { key: [model: string, path: string]; value: StoredFeatures };
  /** Probabilities by the learned head: one row per audible segment, by the path of the song. */
  learned: { key: string; value: Float32Array };
  /** The learned head, under HEAD. */
  heads: { key: string; value: LearnedHead };
}

/** Features of a song's audible segments: [segments, features] */
export interface StoredFeatures {
  readonly model: string;
  readonly path: string;
  readonly rows: Int8Array;
}

/** All that is stored for a song, so that its removal can be undone. */
export interface RemovedSongs {
  readonly songs: readonly Song[];
  readonly features: readonly StoredFeatures[];
  readonly learned: readonly (readonly [path: string, probabilities: Float32Array])[];
}

const DATABASE = "pocketgenre";
const VERSION = 5;
const HEAD = "current";
/** Number of songs whose features are read at once. */
const BATCH = 64;

type Upgrade = IDBPTransaction<Schema, StoreNames<Schema>[], "versionchange">;

/** The page's database. A change is on the disk when its promise resolves. */
export class Catalog {
  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  /**
   * Open the database; create it at the first visit, and upgrade that of an earlier version.
   *
   * @param onOutdated called when a newer version of the page needs to upgrade the database
   */
  static async open(onOutdated: () => void): Promise<Catalog> {
    const db = await openDB<Schema>(DATABASE, VERSION, {
      async upgrade(opened, before, _after, transaction) {
        if (before < 1) createStores(opened);
        else if (before < 2) await upgradeToVersion2(transaction);
        if (before >= 1 && before < 3) await upgradeToVersion3(transaction);
        if (before >= 1 && before < 4) await upgradeToVersion4(opened, transaction);
        if (before < 5) upgradeToVersion5(opened);
      },
      blocking() {
        db.close();
        onOutdated();
      },
    });
    return new Catalog(db);
  }

  /** Return the songs that a model classified and that are still in their folder, by path. */
  async songs(model: string): Promise<Song[]> {
    const songs = await this.db.getAll("songs", IDBKeyRange.bound([model], [model, []]));
    return songs.filter((song) => !song.vanished);
  }

  /** Return the paths of the songs that a model classified, also vanished ones, by the hash of their content. */
  async pathsByHash(model: string): Promise<Map<string, string>> {
    const songs = await this.db.getAll("songs", IDBKeyRange.bound([model], [model, []]));
    return new Map(songs.flatMap(({ hash, path, error }) => (hash !== null && error === null ? [[hash, path]] : [])));
  }

  /** Return the result of a model for a path, or undefined if there is none. */
  song(model: string, path: string): Promise<Song | undefined> {
    return this.db.get("songs", [model, path]);
  }

  async saveSong(song: Song): Promise<void> {
    await this.db.put("songs", song);
  }

  /**
   * Store the result of a scan, and label the song by the learned head of its model.
   *
   * @param features one row per audible segment; null if the model has none
   * @returns the probabilities by the learned head, one row per audible segment; null without one
   */
  async saveScanned(song: Song, features: Int8Array | null): Promise<Float32Array | null> {
    const { model, path } = song;
    const transaction = this.db.transaction(["songs", "features", "learned", "heads"], "readwrite");
    await transaction.objectStore("songs").put(song);
    const head = await transaction.objectStore("heads").get(HEAD);
    const learned = features && head?.base === model ? predictRows(head, features) : null;
    if (features) await transaction.objectStore("features").put({ model, path, rows: features });
    else await transaction.objectStore("features").delete([model, path]);
    if (learned) await transaction.objectStore("learned").put(learned, path);
    else if (head?.base === model) await transaction.objectStore("learned").delete(path);
    await transaction.done;
    return learned;
  }

  /** Return the features of all songs of a model. */
  async *features(model: string): AsyncGenerator<StoredFeatures> {
    for (let last: string | null = null; ; ) {
      const batch: StoredFeatures[] = await this.db.getAll("features", pathsAfter(model, last), BATCH);
      yield* batch;
      if (batch.length < BATCH) return;
      last = batch.at(-1)!.path;
    }
  }

  /** Return the features of a song, one row per audible segment; null if they are not stored. */
  async featuresOf(model: string, path: string): Promise<Int8Array | null> {
    return (await this.db.get("features", [model, path]))?.rows ?? null;
  }

  /** Return the paths of the songs whose features are stored. */
  async pathsWithFeatures(model: string): Promise<Set<string>> {
    const keys = await this.db.getAllKeys("features", pathsAfter(model, null));
    return new Set(keys.map(([, path]) => path));
  }

  /** Return the learned head, or null, and the probabilities by it. */
  async learned(): Promise<{ head: LearnedHead | null; probabilities: Map<string, Float32Array> }> {
    const transaction = this.db.transaction(["heads", "learned"]);
    const store = transaction.objectStore("learned");
    const [head, paths, values] = await Promise.all([
      transaction.objectStore("heads").get(HEAD), store.getAllKeys(), store.getAll(),
    ]);
    return { head: head ?? null, probabilities: new Map(paths.map((path, i) => [path, values[i]!])) };
  }

  /**
   * Replace the learned head, and label all songs by it, in one transaction.
   *
   * @param head null to remove it
   * @param label computes probabilities from features
   * @returns the probabilities by path
   */
  async useHead(
    model: string, head: LearnedHead | null, label: ((features: Int8Array) => Float32Array) | null,
  ): Promise<Map<string, Float32Array>> {
    const transaction = this.db.transaction(["features", "learned", "heads"], "readwrite");
    const learned = transaction.objectStore("learned");
    const probabilities = new Map<string, Float32Array>();
    await learned.clear();
    if (head) await transaction.objectStore("heads").put(head, HEAD);
    else await transaction.objectStore("heads").delete(HEAD);
    for (let last: string | null = null; label; ) {
      const batch: StoredFeatures[] = await transaction.objectStore("features").getAll(pathsAfter(model, last), BATCH);
      for (const { path, rows } of batch) probabilities.set(path, label(rows));
      await Promise.all(batch.map(({ path }) => learned.put(probabilities.get(path)!, path)));
      if (batch.length < BATCH) break;
      last = batch.at(-1)!.path;
    }
    await transaction.done;
    return probabilities;
  }

  close(): void {
    this.db.close();
  }

  async saveCover({ id, image }: Cover): Promise<void> {
    await this.db.put("covers", image, id);
  }

  /** Return the image of a cover, or null if it is not stored. */
  async cover(id: string): Promise<Blob | null> {
    return (await this.db.get("covers", id)) ?? null;
  }

  /**
   * Mark the songs of a folder as present or vanished, for every model.
   *
   * @param present paths of the songs that are in the folder now
   */
  async markVanished(folder: string, present: ReadonlySet<string>): Promise<void> {
    const transaction = this.db.transaction("songs", "readwrite");
    for await (const cursor of transaction.store) {
      const { path, vanished = false } = cursor.value;
      const missing = !present.has(path);
      if (path.startsWith(`${folder}/`) && vanished !== missing) {
        await cursor.update({ ...cursor.value, vanished: missing });
      }
    }
    await transaction.done;
  }

  /** Remove a song's results by every model, and return them; its correction stays. */
  async removeSong(path: string): Promise<RemovedSongs> {
    return this.removeSongs((one) => one === path);
  }

  /** Forget a folder, and remove the results of its songs; their corrections stay. */
  async removeFolder(name: string): Promise<void> {
    await this.db.delete("folders", name);
    await this.removeSongs((path) => path.startsWith(`${name}/`));
  }

  private async removeSongs(isRemoved: (path: string) => boolean): Promise<RemovedSongs> {
    const transaction = this.db.transaction(["songs", "attempts", "features", "learned"], "readwrite");
    const songs = transaction.objectStore("songs");
    const features = transaction.objectStore("features");
    const learned = transaction.objectStore("learned");
    const removed: { -readonly [K in keyof RemovedSongs]: RemovedSongs[K][number][] } = { songs: [], features: [], learned: [] };
    for (const key of await songs.getAllKeys()) {
      const [, path] = key;
      if (!isRemoved(path)) continue;
      const [song, rows, probabilities] = await Promise.all([songs.get(key), features.get(key), learned.get(path)]);
      removed.songs.push(song!);
      if (rows) removed.features.push(rows);
      if (probabilities) removed.learned.push([path, probabilities]);
      await Promise.all([
        songs.delete(key), features.delete(key), learned.delete(path), transaction.objectStore("attempts").delete(path),
      ]);
    }
    await transaction.done;
    return removed;
  }

  /** Store removed songs again. */
  async putBack({ songs, features, learned }: RemovedSongs): Promise<void> {
    const transaction = this.db.transaction(["songs", "features", "learned"], "readwrite");
    for (const song of songs) await transaction.objectStore("songs").put(song);
    for (const one of features) await transaction.objectStore("features").put(one);
    for (const [path, probabilities] of learned) await transaction.objectStore("learned").put(probabilities, path);
    await transaction.done;
  }

  /** Remove the prediction of a song by one model, so that the next scan repeats it. */
  async removePrediction(model: string, path: string): Promise<void> {
    const transaction = this.db.transaction(["songs", "attempts", "features"], "readwrite");
    await transaction.objectStore("songs").delete([model, path]);
    await transaction.objectStore("features").delete([model, path]);
    await transaction.objectStore("attempts").delete(path);
    await transaction.done;
  }

  /** Return all results, corrections and covers. */
  async backup(): Promise<Backup> {
    return {
      songs: await this.db.getAll("songs"),
      corrections: await this.entries("corrections"),
      covers: await this.entries("covers"),
    };
  }

  /** Add the content of a backup, and return the number of songs added. What is stored stays as it is. */
  async restore(backup: Backup): Promise<number> {
    const transaction = this.db.transaction(["songs", "corrections", "covers"], "readwrite");
    const songs = transaction.objectStore("songs");
    let added = 0;
    for (const song of backup.songs) {
      if (await songs.getKey([song.model, song.path])) continue;
      await songs.put(song);
      added += 1;
    }
    for (const name of ["corrections", "covers"] as const) {
      const store = transaction.objectStore(name);
      for (const [key, value] of backup[name]) if ((await store.getKey(key)) === undefined) await store.put(value, key);
    }
    await transaction.done;
    return added;
  }

  /** Remove everything except the settings. */
  async clear(): Promise<void> {
    const stores = ["songs", "corrections", "attempts", "covers", "folders", "features", "learned", "heads"] as const;
    const transaction = this.db.transaction(stores, "readwrite");
    await Promise.all(stores.map((store) => transaction.objectStore(store).clear()));
    await transaction.done;
  }

  /** Return the genres that the user chose, by the hash or the path of the song. */
  corrections(): Promise<Map<string, string>> {
    return this.entries("corrections");
  }

  /** Save the genres that the user chose, or remove those that are null. */
  async saveCorrections(corrections: readonly Correction[]): Promise<void> {
    const transaction = this.db.transaction("corrections", "readwrite");
    for (const { song: { hash, path }, genre } of corrections) {
      await transaction.store.delete(path); // of version 2
      if (genre === null) await transaction.store.delete(hash ?? path);
      else await transaction.store.put(genre, hash ?? path);
    }
    await transaction.done;
  }

  /** Record the start of a song, and return the number of earlier starts that did not finish. */
  async startAttempt(path: string): Promise<number> {
    const transaction = this.db.transaction("attempts", "readwrite", { durability: "strict" });
    const unfinished = (await transaction.store.get(path)) ?? 0;
    await transaction.store.put(unfinished + 1, path);
    await transaction.done;
    return unfinished;
  }

  async finishAttempt(path: string): Promise<void> {
    await this.db.delete("attempts", path);
  }

  async clearAttempts(): Promise<void> {
    await this.db.clear("attempts");
  }

  /**
   * Store a folder for the next visit, and return the first part of its songs' paths.
   *
   * This part is the folder's name, with a number if another folder of this name is stored.
   */
  async saveFolder(folder: FileSystemDirectoryHandle): Promise<string> {
    const stored = await this.folders();
    for (const [name, other] of stored) if (await folder.isSameEntry(other)) return name;
    let name = folder.name;
    for (let number = 2; stored.has(name); number++) name = `${folder.name} (${number})`;
    await this.db.put("folders", folder, name);
    return name;
  }

  /** Return the stored folders by the first part of their songs' paths. */
  folders(): Promise<Map<string, FileSystemDirectoryHandle>> {
    return this.entries("folders");
  }

  setting(name: string): Promise<unknown> {
    return this.db.get("settings", name);
  }

  async saveSetting(name: string, value: unknown): Promise<void> {
    await this.db.put("settings", value, name);
  }

  private async entries<Store extends "corrections" | "covers" | "folders">(
    store: Store,
  ): Promise<Map<string, Schema[Store]["value"]>> {
    const transaction = this.db.transaction(store);
    const [keys, values] = await Promise.all([
      transaction.store.getAllKeys(), transaction.store.getAll(),
    ]);
    return new Map(keys.map((key, i) => [key as string, values[i]!]));
  }
}

function createStores(empty: IDBPDatabase<Schema>): void {
  empty.createObjectStore("songs", { keyPath: ["model", "path"] });
  for (const store of ["corrections", "attempts", "covers", "folders", "settings"] as const) {
    empty.createObjectStore(store);
  }
}

/**
 * Add the lengths of songs, which version 1 did not store, and the threshold of the model.
 *
 * Version 1 stored the threshold 0 with any other setting, so 0 was not always the user's choice.
 */
async function upgradeToVersion2(transaction: Upgrade): Promise<void> {
  for await (const cursor of transaction.objectStore("songs")) {
    await cursor.update({ ...cursor.value, analyzedSeconds: null, durationSeconds: null, partial: false });
  }
  const settings = transaction.objectStore("settings");
  const stored = (await settings.get("settings")) as { confidence?: number } | undefined;
  if (stored?.confidence === 0) await settings.put({ ...stored, confidence: null }, "settings");
}

/** Add the hash of a song's content, which is computed when the song is selected again. */
async function upgradeToVersion3(transaction: Upgrade): Promise<void> {
  for await (const cursor of transaction.objectStore("songs")) {
    await cursor.update({ ...cursor.value, hash: null });
  }
}

/** Add the tags, which are read when the song is selected again, and the covers. */
async function upgradeToVersion4(opened: IDBPDatabase<Schema>, transaction: Upgrade): Promise<void> {
  opened.createObjectStore("covers");
  for await (const cursor of transaction.objectStore("songs")) {
    await cursor.update({ ...cursor.value, tags: null });
  }
}

/** Add the features of songs, which are computed when a song is scanned again, and what is learned from them. */
function upgradeToVersion5(opened: IDBPDatabase<Schema>): void {
  opened.createObjectStore("features", { keyPath: ["model", "path"] });
  opened.createObjectStore("learned");
  opened.createObjectStore("heads");
}

/** Return the keys of a model's songs after a path, or of all. */
function pathsAfter(model: string, path: string | null): IDBKeyRange {
  return IDBKeyRange.bound(path === null ? [model] : [model, path], [model, []], path !== null);
}
