/** Store songs, corrections, folders and settings in the browser's IndexedDB. */
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB, type StoreNames } from "idb";
import type { Backup } from "./backup.ts";
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
}

const DATABASE = "pocketgenre";
const VERSION = 4;

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
  async removeSong(path: string): Promise<Song[]> {
    return this.removeSongs((one) => one === path);
  }

  /** Forget a folder, and remove the results of its songs; their corrections stay. */
  async removeFolder(name: string): Promise<void> {
    await this.db.delete("folders", name);
    await this.removeSongs((path) => path.startsWith(`${name}/`));
  }

  private async removeSongs(isRemoved: (path: string) => boolean): Promise<Song[]> {
    const transaction = this.db.transaction(["songs", "attempts"], "readwrite");
    const songs = transaction.objectStore("songs");
    const removed: Song[] = [];
    for (const key of await songs.getAllKeys()) {
      if (!isRemoved(key[1])) continue;
      removed.push((await songs.get(key))!);
      await songs.delete(key);
      await transaction.objectStore("attempts").delete(key[1]);
    }
    await transaction.done;
    return removed;
  }

  /** Remove the prediction of a song by one model, so that the next scan repeats it. */
  async removePrediction(model: string, path: string): Promise<void> {
    const transaction = this.db.transaction(["songs", "attempts"], "readwrite");
    await transaction.objectStore("songs").delete([model, path]);
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
    const stores = ["songs", "corrections", "attempts", "covers", "folders"] as const;
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
