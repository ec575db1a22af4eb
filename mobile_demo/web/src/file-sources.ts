/** Find the songs in a folder, in a file input, or among files dropped onto the page. */
import { isSongName } from "./rules/discovery.ts";
import type { SelectedFile } from "./scan.ts";

declare global {
  interface Window {
    showDirectoryPicker?: (options: { id: string; mode: "read"; startIn: "music" }) => Promise<FileSystemDirectoryHandle>;
  }
  interface FileSystemHandle {
    queryPermission?: (options: { mode: "read" | "readwrite" }) => Promise<PermissionState>;
    requestPermission?: (options: { mode: "read" | "readwrite" }) => Promise<PermissionState>;
  }
}

export interface Selection {
  readonly files: SelectedFile[];
  /** Paths of folders and files that could not be read. */
  readonly unreadable: string[];
  /** Name of the folder if `files` are all of its songs; null if some may be missing. */
  readonly folder: string | null;
}

/**
 * Find the songs of a folder and its subfolders, without hidden files, in the order of their paths.
 *
 * @param name first part of the songs' paths
 */
export async function fromFolder(folder: FileSystemDirectoryHandle, name: string): Promise<Selection> {
  const selection = emptySelection();
  await addFolder(folder, name, selection);
  return sorted({ ...selection, folder: selection.unreadable.length ? null : name });
}

async function addFolder(
  folder: FileSystemDirectoryHandle, path: string, selection: Selection,
): Promise<void> {
  try {
    for await (const [name, handle] of folder.entries()) {
      const child = `${path}/${name}`;
      if (name.startsWith(".")) continue;
      if (handle.kind === "directory") {
        await addFolder(handle as FileSystemDirectoryHandle, child, selection);
      } else if (isSongName(name)) {
        await addFile(handle as FileSystemFileHandle, child, selection);
      }
    }
  } catch {
    selection.unreadable.push(path);
  }
}

async function addFile(handle: FileSystemFileHandle, path: string, selection: Selection): Promise<void> {
  try {
    selection.files.push({ path, file: await handle.getFile() });
  } catch {
    selection.unreadable.push(path);
  }
}

/**
 * Return the file of a song in a stored folder, after asking for permission if that is needed.
 *
 * @param folders stored folders by the first part of their songs' paths
 * @returns null if the folder is not stored, permission is refused, or the file is missing
 */
export async function fileInFolder(
  folders: ReadonlyMap<string, FileSystemDirectoryHandle>, path: string,
): Promise<File | null> {
  const names = path.split("/");
  let folder = folders.get(names[0]!);
  if (!folder || (await folder.requestPermission?.({ mode: "read" })) === "denied") return null;
  try {
    for (const name of names.slice(1, -1)) folder = await folder.getDirectoryHandle(name);
    return await (await folder.getFileHandle(names.at(-1)!)).getFile();
  } catch {
    return null;
  }
}

/** Return the songs among the files of an <input>. Files of a folder keep their path in it. */
export function fromInput(files: Iterable<File>): Selection {
  const selected = Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
  return sorted({ ...emptySelection(), files: selected.filter(({ path }) => isSongPath(path)) });
}

/** Return the songs among files of the share sheet; some apps share a song without the ending of its name. */
export function fromShare(files: readonly File[]): Selection {
  const songs = files.filter(({ name, type }) => type.startsWith("audio/") || isSongPath(name));
  return sorted({ ...emptySelection(), files: songs.map((file) => ({ path: file.name, file })) });
}

/** Return the dropped songs. Call it in the event handler: the browser clears the items after it. */
export async function fromDrop(items: DataTransferItemList): Promise<Selection> {
  const dropped = Array.from(items, (item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const selection = emptySelection();
  for (const { entry, file } of dropped) {
    if (entry) await addEntry(entry, selection);
    else if (file && isSongPath(file.name)) selection.files.push({ path: file.name, file });
  }
  return sorted(selection);
}

async function addEntry(entry: FileSystemEntry, selection: Selection): Promise<void> {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.name.startsWith(".")) return;
  try {
    if (entry.isDirectory) {
      for await (const child of childEntries(entry as FileSystemDirectoryEntry)) {
        await addEntry(child, selection);
      }
    } else if (isSongName(entry.name)) {
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject));
      selection.files.push({ path, file });
    }
  } catch {
    selection.unreadable.push(path);
  }
}

async function* childEntries(folder: FileSystemDirectoryEntry): AsyncGenerator<FileSystemEntry> {
  const reader = folder.createReader();
  for (;;) {
    // The browser returns at most 100 entries per call.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject));
    if (batch.length === 0) return;
    yield* batch;
  }
}

function isSongPath(path: string): boolean {
  const names = path.split("/");
  return names.every((name) => !name.startsWith(".")) && isSongName(names.at(-1)!);
}

function emptySelection(): Selection {
  return { files: [], unreadable: [], folder: null };
}

function sorted(selection: Selection): Selection {
  const byPath = new Map(selection.files.map((selected) => [selected.path, selected]));
  const files = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { ...selection, files };
}
