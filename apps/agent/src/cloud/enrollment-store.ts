import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CodedError } from '@holdfast/base';
import { z } from 'zod';
import { syncFolder, writePrivateFile } from '../state/write-private.ts';
import { cloudErrors } from './errors.ts';

/** The device's own key: Ed25519, as a private JWK (RFC 8037). */
const DeviceKey = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});
export type DeviceKey = z.infer<typeof DeviceKey>;

const Enrollment = z.strictObject({
  version: z.literal(1),
  /** Where the server is, without a final slash. */
  url: z.string(),
  installationId: z.string(),
  tenantUid: z.string(),
  orgUid: z.string(),
  deviceUid: z.string(),
  deviceKey: DeviceKey,
  /** The CA that is trusted, PEM; null where the system's list counts. */
  caPem: z.string().nullable(),
  /** The verifier key of the tenant's log. */
  logKey: z.string(),
  /** The tenant's escrow keys (a document of canonical JSON), as the enrolment token pinned them. */
  escrowKeys: z.string(),
});
/** What a device keeps of its enrolment. */
export type Enrollment = z.infer<typeof Enrollment>;

/** The same as it was before there were escrow keys: their hash is in no such enrolment's token, so none can be believed. */
const EarlierEnrollment = Enrollment.omit({ escrowKeys: true });

const PendingEnrollment = z.strictObject({
  version: z.literal(1),
  /** SHA-256 of the token it is for, hex. */
  tokenSha256: z.string(),
  deviceKey: DeviceKey,
  attempt: z.string(),
});
/** A key that was made to enrol with: kept until the answer is there, so that a lost answer costs no second device. */
export type PendingEnrollment = z.infer<typeof PendingEnrollment>;

/** The enrolment in a state folder: files of mode 0600, replaced whole, refused where others can reach them. */
export class EnrollmentStore {
  readonly #file: string;
  readonly #pendingFile: string;

  constructor(stateDir: string) {
    this.#file = path.join(stateDir, 'enrollment.json');
    this.#pendingFile = path.join(stateDir, 'enrollment.pending.json');
  }

  /**
   * The enrolment; undefined where there is none.
   *
   * @throws cloud_link.state_exposed, cloud_link.state_damaged, cloud_link.enrolled_without_escrow
   */
  load(): Enrollment | undefined {
    const found = read(this.#file, z.union([Enrollment, EarlierEnrollment]));
    if (found && !('escrowKeys' in found)) throw cloudErrors.enrolled_without_escrow({ file: this.#file });
    return found;
  }

  /** Replaces the enrolment; what is there and cannot be used stays beside it, under a name of its own. */
  save(enrollment: Enrollment): void {
    if (existsSync(this.#file) && !this.#isUsable()) setAside(this.#file);
    writePrivateFile(this.#file, `${JSON.stringify(Enrollment.parse(enrollment))}\n`);
    rmSync(this.#pendingFile, { force: true });
  }

  #isUsable(): boolean {
    try {
      return this.load() !== undefined;
    } catch {
      return false;
    }
  }

  /** A damaged one says nothing that another try would need. */
  loadPending(): PendingEnrollment | undefined {
    try {
      return read(this.#pendingFile, PendingEnrollment);
    } catch (error) {
      if (error instanceof CodedError && error.code === cloudErrors.state_damaged.code) return undefined;
      throw error;
    }
  }

  savePending(pending: PendingEnrollment): void {
    writePrivateFile(this.#pendingFile, `${JSON.stringify(PendingEnrollment.parse(pending))}\n`);
  }

  /** Removes the device's key and all else there is of the enrolment. */
  remove(): void {
    const folder = path.dirname(this.#file);
    for (const file of [this.#file, this.#pendingFile])
      for (const name of [file, `${file}.new`]) rmSync(name, { force: true });
    const aside = `${path.basename(this.#file)}.aside-`;
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      if (name.startsWith(aside)) rmSync(path.join(folder, name), { force: true });
    syncFolder(folder);
  }
}

/** Gives a file a name that is free. */
function setAside(file: string): void {
  let number = 1;
  while (existsSync(`${file}.aside-${number}`)) number++;
  renameSync(file, `${file}.aside-${number}`);
}

function read<T>(file: string, shape: z.ZodType<T>): T | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cloudErrors.state_damaged({ file }, error);
  }
  try {
    const { mode, uid } = fstatSync(fd);
    const isOurs = process.platform === 'win32' || (uid === process.geteuid?.() && (mode & 0o077) === 0);
    if (!isOurs) throw cloudErrors.state_exposed({ file });
    const parsed = shape.safeParse(parseJson(readFileSync(fd, 'utf8')));
    // The parser's own words are not kept: they may quote the key.
    if (!parsed.success) throw cloudErrors.state_damaged({ file });
    return parsed.data;
  } finally {
    closeSync(fd);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
