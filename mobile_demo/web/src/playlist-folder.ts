/** Write playlists into a music folder, next to files that must stay as they are. */
import { isOwnPlaylist } from "./rules/playlists.ts";

/** Size in bytes above which a file is not read: no playlist of this page is as large. */
const MAX_BYTES = 50 * 2 ** 20;

/**
 * Write playlists into a folder, after asking for permission.
 *
 * A file is replaced only if this page or scan-library wrote it and nobody changed it since.
 *
 * @param playlists content by file name
 * @returns the number of written playlists, and the names of those whose place another file has
 * @throws DOMException if permission is refused, or if the folder cannot be written to
 */
export async function writePlaylists(
  folder: FileSystemDirectoryHandle, playlists: ReadonlyMap<string, string>,
): Promise<{ written: number; kept: string[] }> {
  const permission = (await folder.requestPermission?.({ mode: "readwrite" })) ?? "granted";
  if (permission !== "granted") throw new DOMException("permission was refused", "NotAllowedError");
  const kept: string[] = [];
  for (const [name, content] of playlists) {
    const state = await stateOf(folder, name);
    if (state === "foreign") kept.push(name);
    else await write(folder, name, content, state === "missing");
  }
  return { written: playlists.size - kept.length, kept };
}

async function stateOf(folder: FileSystemDirectoryHandle, name: string): Promise<"missing" | "own" | "foreign"> {
  let file: File;
  try {
    file = await (await folder.getFileHandle(name)).getFile();
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    if (error.name === "NotFoundError") return "missing";
    if (error.name === "TypeMismatchError") return "foreign"; // a folder
    throw error;
  }
  const isOwn = file.size <= MAX_BYTES && (await isOwnPlaylist(new Uint8Array(await file.arrayBuffer())));
  return isOwn ? "own" : "foreign";
}

/** Write a file, which keeps its content until the new one is complete. */
async function write(folder: FileSystemDirectoryHandle, name: string, content: string, isNew: boolean): Promise<void> {
  const handle = await folder.getFileHandle(name, { create: true });
  try {
    const output = await handle.createWritable();
    await output.write(content);
    await output.close();
  } catch (error) {
    if (isNew) await folder.removeEntry(name).catch(() => {}); // an empty file, which the next export would keep
    throw error;
  }
}
