/** What was heard, and what a person said of it, in the browser's own database. */
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Song } from "./rules/song.ts";

/** A song that was not in its folder any more is kept, since a folder may come back. */
interface Kept extends Song {
  readonly vanished?: boolean;
}

interface Schema extends DBSchema {
  songs: { key: [string, string]; value: Kept };
  corrections: { key: string; value: string };
  /** How often a song was begun and never ended, since the page was killed over it. */
  attempts: { key: string; value: number };
  folders: { key: string; value: FileSystemDirectoryHandle };
  settings: { key: string; value: unknown };
}

const NAME = "pocketgenre";

/** The page's database; every change is on the disk before it is reported. */
export class Catalog {
  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  /** @param outdated called when a newer version of the page wants to change the database. */
  static async open(outdated: () => void): Promise<Catalog> {
    const db = await openDB<Schema>(NAME, 1, {
      upgrade(fresh) {
        fresh.createObjectStore("songs", { keyPath: ["model", "path"] });
        for (const store of ["corrections", "attempts", "folders", "settings"] as const) {
          fresh.createObjectStore(store);
        }
      },
      blocking() {
        db.close();
        outdated();
      },
    });
    return new Catalog(db);
  }

  /** All that a model heard and that is still there, by path. */
  async songs(model: string): Promise<Song[]> {
    const songs = await this.db.getAll("songs", IDBKeyRange.bound([model], [model, []]));
    return songs.filter((song) => !song.vanished);
  }

  async keep(song: Song): Promise<void> {
    await this.db.put("songs", song);
  }

  /** Note which songs of a folder, as every model heard them, are there and which are not. */
  async markVanished(folder: string, there: ReadonlySet<string>): Promise<void> {
    const change = this.db.transaction("songs", "readwrite");
    for await (const cursor of change.store) {
      const { path, vanished = false } = cursor.value;
      const gone = !there.has(path);
      if (path.startsWith(`${folder}/`) && vanished !== gone) {
        await cursor.update({ ...cursor.value, vanished: gone });
      }
    }
    await change.done;
  }

  /** Take a song off the list, as every model heard it; what a person said of it stays. */
  async forget(path: string): Promise<void> {
    const change = this.db.transaction(["songs", "attempts"], "readwrite");
    const songs = change.objectStore("songs");
    for (const key of await songs.getAllKeys()) if (key[1] === path) await songs.delete(key);
    await change.objectStore("attempts").delete(path);
    await change.done;
  }

  /** Have a song heard anew by one model; what another heard stays. */
  async renew(model: string, path: string): Promise<void> {
    const change = this.db.transaction(["songs", "attempts"], "readwrite");
    await change.objectStore("songs").delete([model, path]);
    await change.objectStore("attempts").delete(path);
    await change.done;
  }

  async forgetAll(): Promise<void> {
    const stores = ["songs", "corrections", "attempts", "folders"] as const;
    const change = this.db.transaction(stores, "readwrite");
    await Promise.all(stores.map((store) => change.objectStore(store).clear()));
    await change.done;
  }

  /** A person's genres by path. */
  async corrections(): Promise<Map<string, string>> {
    const change = this.db.transaction("corrections");
    const [paths, genres] = await Promise.all([change.store.getAllKeys(), change.store.getAll()]);
    return new Map(paths.map((path, i) => [path, genres[i]!]));
  }

  async correct(path: string, genre: string | null): Promise<void> {
    if (genre === null) await this.db.delete("corrections", path);
    else await this.db.put("corrections", genre, path);
  }

  /** Note that a song is begun; how often it was begun before and not ended. */
  async begin(path: string): Promise<number> {
    const change = this.db.transaction("attempts", "readwrite", { durability: "strict" });
    const before = (await change.store.get(path)) ?? 0;
    await change.store.put(before + 1, path);
    await change.done;
    return before;
  }

  async end(path: string): Promise<void> {
    await this.db.delete("attempts", path);
  }

  async forgetAttempts(): Promise<void> {
    await this.db.clear("attempts");
  }

  /**
   * Keep a folder for the next visit; gives the name that its songs' paths begin with, its own or,
   * where another folder has that already, one with a number.
   */
  async rememberFolder(folder: FileSystemDirectoryHandle): Promise<string> {
    const known = await this.folders();
    for (const [name, other] of known) if (await folder.isSameEntry(other)) return name;
    let name = folder.name;
    for (let number = 2; known.has(name); number++) name = `${folder.name} (${number})`;
    await this.db.put("folders", folder, name);
    return name;
  }

  /** Folders of earlier visits by the name that their songs' paths begin with. */
  async folders(): Promise<Map<string, FileSystemDirectoryHandle>> {
    const change = this.db.transaction("folders");
    const [names, folders] = await Promise.all([change.store.getAllKeys(), change.store.getAll()]);
    return new Map(names.map((name, i) => [name, folders[i]!]));
  }

  setting(name: string): Promise<unknown> {
    return this.db.get("settings", name);
  }

  async set(name: string, value: unknown): Promise<void> {
    await this.db.put("settings", value, name);
  }
}
