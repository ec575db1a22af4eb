/** Songs from a folder, from files, or dropped onto the page. */
import { isSongName } from "./rules/finding.ts";
import type { PickedFile } from "./scan.ts";

declare global {
  interface Window {
    showDirectoryPicker?: (options: { id: string; mode: "read" }) => Promise<FileSystemDirectoryHandle>;
  }
  interface FileSystemHandle {
    queryPermission?: (how: { mode: "read" }) => Promise<PermissionState>;
    requestPermission?: (how: { mode: "read" }) => Promise<PermissionState>;
  }
}

/** Songs and what could not be looked into. */
export interface Found {
  readonly files: PickedFile[];
  readonly unlistable: string[];
  /** The name of the folder that these are all songs of, null where that is not sure. */
  readonly folder: string | null;
}

/**
 * The songs below a folder, in the order of their paths; hidden files are passed over.
 *
 * @param name what their paths begin with
 */
export async function walk(folder: FileSystemDirectoryHandle, name: string): Promise<Found> {
  const found = nothing();
  await walkInto(folder, name, found);
  return sorted({ ...found, folder: found.unlistable.length ? null : name });
}

async function walkInto(folder: FileSystemDirectoryHandle, path: string, found: Found): Promise<void> {
  try {
    for await (const [name, handle] of folder.entries()) {
      const inside = `${path}/${name}`;
      if (name.startsWith(".")) continue;
      if (handle.kind === "directory") await walkInto(handle as FileSystemDirectoryHandle, inside, found);
      else if (isSongName(name)) await take(handle as FileSystemFileHandle, inside, found);
    }
  } catch {
    found.unlistable.push(path);
  }
}

async function take(handle: FileSystemFileHandle, path: string, found: Found): Promise<void> {
  try {
    found.files.push({ path, file: await handle.getFile() });
  } catch {
    found.unlistable.push(path);
  }
}

/** The songs among the files of an <input>; those of a folder come with their paths in it. */
export function fromInput(files: Iterable<File>): Found {
  const picked = Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
  return sorted({ ...nothing(), files: picked.filter(({ path }) => visible(path)) });
}

/** The songs in what was dropped; to be called at once, since the browser forgets it. */
export async function fromDrop(items: DataTransferItemList): Promise<Found> {
  const dragged = Array.from(items, (item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const found = nothing();
  for (const { entry, file } of dragged) {
    if (entry) await dropped(entry, found);
    else if (file && visible(file.name)) found.files.push({ path: file.name, file });
  }
  return sorted(found);
}

async function dropped(entry: FileSystemEntry, found: Found): Promise<void> {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.name.startsWith(".")) return;
  try {
    if (entry.isDirectory) {
      const reader = (entry as FileSystemDirectoryEntry).createReader();
      const some = () => new Promise<FileSystemEntry[]>((ok, no) => reader.readEntries(ok, no));
      for (let batch = await some(); batch.length; batch = await some()) {
        for (const inside of batch) await dropped(inside, found);
      }
    } else if (isSongName(entry.name)) {
      const file = await new Promise<File>((ok, no) => (entry as FileSystemFileEntry).file(ok, no));
      found.files.push({ path, file });
    }
  } catch {
    found.unlistable.push(path);
  }
}

function visible(path: string): boolean {
  const names = path.split("/");
  return names.every((name) => !name.startsWith(".")) && isSongName(names.at(-1)!);
}

function nothing(): Found {
  return { files: [], unlistable: [], folder: null };
}

function sorted(found: Found): Found {
  const byPath = new Map(found.files.map((picked) => [picked.path, picked]));
  const files = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { ...found, files };
}
