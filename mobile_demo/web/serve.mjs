/**
 * Serve the built page: to this machine, or with a certificate to all machines of the local network.
 *
 * --wifi finds or makes a certificate; CERT and KEY in the environment name one. Messages go to stderr.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { renderUnicodeCompact } from "uqr";
import { preview } from "vite";
import { CertificateError, localAddresses, localCertificate } from "./certificate.mjs";

const ROOT_PATH = "/root.crt";
const WHITE_ON_BLACK = "\x1b[38;5;231;48;5;16m";
const RESET = "\x1b[0m";
/** Width of the light border that a QR code needs, in modules. */
const QUIET_ZONE = 4;

const { values: options } = parseArgs({
  options: {
    wifi: { type: "boolean", default: false },
    port: { type: "string", default: "4173" },
    outDir: { type: "string", default: "dist" },
  },
});

try {
  await serve();
} catch (error) {
  say(`Error: ${error instanceof CertificateError ? error.message : reasonOf(error)}`);
  process.exit(1);
}

async function serve() {
  const addresses = localAddresses();
  const certificate = await findCertificate(addresses);
  const server = await preview({
    root: fileURLToPath(new URL(".", import.meta.url)),
    logLevel: "warn",
    build: { outDir: options.outDir },
    preview: {
      port: Number(options.port),
      host: certificate ? true : "localhost",
      ...(certificate && { https: { cert: certificate.cert, key: certificate.key } }),
    },
    plugins: certificate?.root ? [rootPlugin(certificate.root)] : [],
  });
  const { port } = server.httpServer.address();
  if (!certificate) return say(localText(port));
  const urls = addresses.map((address) => `https://${address}:${port}/`);
  say(`The phone page runs at ${urls.join(" and ")} for all devices in this network. Press Ctrl-C to stop it.\n`);
  if (process.stderr.isTTY) say(qrCode(urls[0]));
  if (certificate.root) say(trustText(urls[0], certificate.isOwn));
}

/** Return the certificate of the user's choice; null without one. */
async function findCertificate(addresses) {
  const { CERT, KEY, INIT_CWD = "." } = process.env;
  const read = (path) => readFileSync(resolve(INIT_CWD, path)); // relative to the user's folder, not to the one of npm
  if (!CERT !== !KEY) throw new CertificateError("CERT and KEY belong together: give both, or use make phone-wifi.");
  if (!options.wifi && !CERT) return null;
  if (addresses.length === 0) {
    throw new CertificateError("This machine is in no network: connect it to the network of the phone.");
  }
  return CERT ? { cert: read(CERT), key: read(KEY), root: null } : localCertificate(addresses);
}

/** Serve the root certificate, so that the phone can install it. */
function rootPlugin(root) {
  return {
    name: "root-certificate",
    configurePreviewServer(server) {
      server.middlewares.use(ROOT_PATH, (_request, response) => {
        response.setHeader("Content-Type", "application/x-x509-ca-cert");
        response.end(root);
      });
    },
  };
}

/** Draw a QR code in the right colours on a light and on a dark terminal. */
function qrCode(text) {
  const lines = renderUnicodeCompact(text, { border: QUIET_ZONE }).split("\n");
  return lines.map((line) => `${WHITE_ON_BLACK}${line}${RESET}\n`).join("");
}

function localText(port) {
  return `
The phone page runs at http://localhost:${port}/ on this machine. Press Ctrl-C to stop it.

A phone can install it only from an address that its browser trusts. Two ways work:

  by USB (Android): turn on USB debugging, connect the phone, run
      adb reverse tcp:${port} tcp:${port}
    and open http://localhost:${port}/ on the phone. The installed page needs no cable.

  by Wi-Fi: stop this server, and run
      make phone-wifi

Any web host with HTTPS can serve mobile_demo/web/dist; send the headers of headers.json with it.
`;
}

function trustText(url, isOwn) {
  return `
The phone has to trust this machine once. Open ${url.slice(0, -1)}${ROOT_PATH} on it, go on
in spite of the warning, and install the file that is downloaded:

  Android: Settings, Security, Encryption & credentials, Install a certificate, CA certificate.
  iOS: Settings, Profile Downloaded, Install. Then General, About, Certificate Trust Settings: turn it on.

${isOwn
    ? "The key of this root certificate is deleted already, so it can't sign for other sites. A new address of\n" +
      "this machine needs a new one."
    : "This is the root certificate of mkcert on this machine. Whoever has its key can sign for any site."}
Remove it from the phone when you no longer need it.
`;
}

function reasonOf(error) {
  const text = error instanceof Error ? error.message : String(error);
  return `the page cannot be served (${text.replace(/\.$/, "")}): choose another port, or correct CERT and KEY.`;
}

function say(text) {
  process.stderr.write(`${text}\n`);
}
