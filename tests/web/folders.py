"""Real folder handles, of the browser's private file system: a test can't answer a dialog."""

from pathlib import Path

from tests.web.phone import Phone, as_text

_PICK = """window.showDirectoryPicker = async () => {
  await window.dialog;  // a promise, where a test leaves the dialog open
  let folder = await navigator.storage.getDirectory();
  for (const name of (window.picked ?? "Music").split("/"))
    folder = await folder.getDirectoryHandle(name, {create: true});
  return folder;
}"""

_PUT = """async ([path, bytes]) => {
  let folder = await navigator.storage.getDirectory();
  const names = path.split("/");
  for (const name of names.slice(0, -1))
    folder = await folder.getDirectoryHandle(name, {create: true});
  const file = await folder.getFileHandle(names.at(-1), {create: true});
  const out = await file.createWritable();
  await out.write(Uint8Array.from(atob(bytes), c => c.charCodeAt()));
  await out.close();
}"""

_REMOVE = """async path => {
  let folder = await navigator.storage.getDirectory();
  const names = path.split("/");
  for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name);
  await folder.removeEntry(names.at(-1));
}"""


def give_folders(phone: Phone) -> None:
    """Have the dialog for folders answered: with ``Music``, or what ``pick`` says."""
    phone.context.add_init_script(_PICK)
    phone.page.reload()


def put(phone: Phone, path: str, file: Path) -> None:
    """Write a file's content to a path in the private file system."""
    phone.page.evaluate(_PUT, [path, as_text(file)])


def remove(phone: Phone, path: str) -> None:
    phone.page.evaluate(_REMOVE, path)


def pick(phone: Phone, folder: str = "Music") -> None:
    """Choose a folder by its path in the private file system."""
    phone.page.evaluate("folder => { window.picked = folder }", folder)
    phone.page.get_by_role("button", name="Choose a music folder").click()
