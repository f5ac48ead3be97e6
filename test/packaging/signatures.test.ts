// The list of checksums and its signatures, judged by every program that install.sh may find on a machine.
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { readSigningKey, writeChecksums } from "../../scripts/package/checksums.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

function outcome(script: string, folder: TempFolder) {
  const done = Bun.spawnSync(["sh", "-euc", script], {
    cwd: folder.path,
    env: { PATH: Bun.env["PATH"] ?? "", HOME: folder.path, GNUPGHOME: folder.path },
    stdout: "pipe",
    stderr: "pipe",
  });
  return { code: done.exitCode, text: `${done.stdout}${done.stderr}` };
}

const time = new Date(1_750_000_000_000);

async function signedFolder(): Promise<TempFolder> {
  const folder = tempFolder();
  await Bun.write(folder.file("a.deb"), "bytes of a deb\n");
  await Bun.write(folder.file("b.rpm"), "bytes of an rpm\n");
  const { privateKey: key } = generateKeyPairSync("ed25519");
  const paths = [folder.file("b.rpm"), folder.file("a.deb")];
  await writeChecksums({ paths, folder: folder.path, key, time });
  return folder;
}

/** How each program is asked; the public key's file serves all of them as it is. */
const JUDGES: Readonly<Record<string, string>> = {
  openssl:
    "openssl pkeyutl -verify -rawin -pubin -inkey peat-sidecar.pub -in SHA256SUMS -sigfile SHA256SUMS.sig",
  "ssh-keygen":
    "sed -n 's/^ssh-ed25519 /release &/p' peat-sidecar.pub >signers; ssh-keygen -Y verify -f signers -I release -n file -s SHA256SUMS.sshsig <SHA256SUMS",
  gpg: "gpg --quiet --import peat-sidecar.pub && gpg --verify SHA256SUMS.asc SHA256SUMS",
  sqv: "sqv --keyring peat-sidecar.pub SHA256SUMS.asc SHA256SUMS",
};

for (const [program, script] of Object.entries(JUDGES)) {
  const isMissing = Bun.which(program) === null;
  describe.skipIf(isMissing)(`${program} (${isMissing ? `needs ${program}` : "real"})`, () => {
    test("takes the list as it was signed, and no other", async () => {
      using folder = await signedFolder();
      expect(outcome(script, folder).code).toBe(0);
      await Bun.write(folder.file("SHA256SUMS"), "0  a.deb\n");
      expect(outcome(script, folder).code).not.toBe(0);
    });

    test("refuses the signature of another key", async () => {
      using folder = await signedFolder();
      using other = await signedFolder();
      await Bun.write(folder.file("peat-sidecar.pub"), Bun.file(other.file("peat-sidecar.pub")));
      expect(outcome(script, folder).code).not.toBe(0);
    });
  });
}

test("every program judges the signatures of many keys and lists alike", async () => {
  // Numbers that begin with zeros are shorter in OpenPGP: one of some hundred signatures has one.
  const program = Bun.which("gpg") === null ? "openssl" : "gpg";
  using folder = tempFolder();
  for (let round = 0; round < 40; round += 1) {
    const { privateKey: key } = generateKeyPairSync("ed25519");
    await Bun.write(folder.file("a"), `round ${round}`);
    await writeChecksums({ paths: [folder.file("a")], folder: folder.path, key, time });
    expect(outcome(JUDGES[program] ?? "", folder)).toMatchObject({ code: 0 });
  }
}, 120_000);

test("the list names each file with its checksum, in order, and equal files have equal signatures", async () => {
  using folder = await signedFolder();
  expect(outcome("sha256sum -c SHA256SUMS", folder).text).toBe("a.deb: OK\nb.rpm: OK\n");
  const key = generateKeyPairSync("ed25519").privateKey;
  const read = async () => {
    const paths = [folder.file("a.deb")];
    const made = await writeChecksums({ paths, folder: folder.path, key, time });
    expect(made).toHaveLength(5);
    return Promise.all(made.map((path) => Bun.file(path).text()));
  };
  expect(await read()).toEqual(await read());
});

test("a key of another kind is refused", async () => {
  using folder = tempFolder();
  expect(outcome("openssl genpkey -algorithm x25519 -out x.pem", folder).code).toBe(0);
  expect(() => readSigningKey(folder.file("x.pem"))).toThrow("not for Ed25519");
});

test("install.sh trusts the release's key alone, and is the same but for it", async () => {
  using folder = tempFolder();
  const { writeInstaller } = await import("../../scripts/package/installer.ts");
  const { publicKeyFile } = await import("../../scripts/package/signatures.ts");
  const { privateKey } = generateKeyPairSync("ed25519");
  const path = await writeInstaller(folder.path, privateKey);
  const text = await Bun.file(path).text();
  const plain = await Bun.file(`${projectDir}/install.sh`).text();
  const keyText = publicKeyFile(privateKey).trimEnd();
  expect(text).toContain(keyText);
  expect(text.replace(keyText, "")).toBe(plain);
});
