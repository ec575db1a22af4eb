/** Find or make a certificate for this machine's addresses, so that phones in the local network can install the page. */
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { homedir, hostname, networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";

/** Days that a certificate is valid: iOS refuses certificates for more than 825 days. */
const DAYS = 397;
const LOOPBACK = "127.0.0.1";

/** The error of a program that is missing or fails, as one sentence. */
export class CertificateError extends Error {}

/** Return the IPv4 addresses at which other machines reach this one. */
export function localAddresses() {
  const all = Object.values(networkInterfaces()).flat();
  return all.filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => address);
}

/**
 * Return a certificate for this machine, its key, and the root certificate that phones have to trust, as PEM.
 *
 * mkcert makes the certificate if it is installed, otherwise openssl.
 *
 * @param {string[]} addresses
 * @throws CertificateError if neither program can make one
 */
export function localCertificate(addresses) {
  const folder = join(process.env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "pocketgenre", "certificate");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const names = [...addresses, LOOPBACK, "localhost", `${hostname().split(".")[0]}.local`];
  return hasMkcert() ? useMkcert(folder, names) : useOpenssl(folder, names);
}

function hasMkcert() {
  try {
    return run("mkcert", ["-CAROOT"]) !== "";
  } catch {
    return false;
  }
}

function useMkcert(folder, names) {
  const [cert, key] = [join(folder, "mkcert.pem"), join(folder, "mkcert.key")];
  run("mkcert", ["-cert-file", cert, "-key-file", key, ...names]);
  const root = join(run("mkcert", ["-CAROOT"]).trim(), "rootCA.pem");
  return { cert: readFileSync(cert), key: readFileSync(key), root: readFileSync(root), isOwn: false };
}

function useOpenssl(folder, names) {
  const files = ["cert.pem", "cert.key", "root.crt"].map((name) => join(folder, name));
  if (!files.every(existsSync) || !isUsable(readFileSync(files[0]), names)) makeCertificate(folder, names);
  const [cert, key, root] = files.map((file) => readFileSync(file));
  return { cert, key, root, isOwn: true };
}

/** Return true if a certificate is for all of the names, and is valid for another day. */
function isUsable(content, names) {
  const certificate = new X509Certificate(content);
  const lasts = Date.parse(certificate.validTo) > Date.now() + 86_400_000;
  return lasts && names.every((name) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)));
}

/** Make a root and a certificate that it signs. The root's key is deleted, so that it never signs another site. */
function makeCertificate(folder, names) {
  const work = mkdtempSync(join(tmpdir(), "certificate-"));
  const file = (name) => join(work, name);
  const alternatives = names.map((name) => `${isIP(name) ? "IP" : "DNS"}:${name}`).join(",");
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const validity = ["-days", String(DAYS)];
  try {
    run("openssl", ["req", "-x509", ...newKey, ...validity, "-subj", `/CN=pocketgenre on ${hostname()}`,
      "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-addext", "keyUsage=critical,keyCertSign",
      "-keyout", file("root.key"), "-out", file("root.crt")]);
    run("openssl", ["req", "-new", ...newKey, "-subj", "/CN=pocketgenre",
      "-keyout", file("cert.key"), "-out", file("request.pem")]);
    writeFileSync(file("extensions"),
      `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n` +
      "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
    run("openssl", ["x509", "-req", "-in", file("request.pem"), "-CA", file("root.crt"), "-CAkey", file("root.key"),
      "-set_serial", String(Date.now()), ...validity, "-extfile", file("extensions"), "-out", file("cert.pem")]);
    for (const name of ["root.crt", "cert.key", "cert.pem"]) {
      writeFileSync(join(folder, `${name}.new`), readFileSync(file(name)), { mode: 0o600 });
    }
    for (const name of ["root.crt", "cert.key", "cert.pem"]) {
      renameSync(join(folder, `${name}.new`), join(folder, name));
    }
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Run a program, and return its output. */
function run(program, options) {
  try {
    return execFileSync(program, options, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    if (error.code === "ENOENT") {
      throw new CertificateError("There is neither mkcert nor openssl to make a certificate: install one of them.");
    }
    const reason = String(error.stderr).trim().split("\n").at(-1);
    throw new CertificateError(`${program} cannot make a certificate (${reason}): repair it, or give CERT and KEY.`);
  }
}
