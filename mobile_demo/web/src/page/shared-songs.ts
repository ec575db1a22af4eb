/** Take songs that the share sheet of the phone has passed to the service worker. */
import { SHARE } from "../share-target.ts";

/** Return the shared songs, once; null if the page was not opened by the share sheet. */
export async function takeSharedSongs(): Promise<File[] | null> {
  if (location.hash !== SHARE.hash) return null;
  history.replaceState(null, "", location.pathname + location.search);
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const files = new Promise<File[]>((resolve) => (port1.onmessage = ({ data }) => resolve(data as File[])));
  active!.postMessage(SHARE.take, [port2]);
  return files;
}
