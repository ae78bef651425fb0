/** A takeover that was begun: kept until it has come to its end, so that it can be begun again wherever it broke off. */
import { closeSync, fstatSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { importHpkeKey, type HpkeKey } from '@holdfast/trust';
import type { CodedError, Random } from '@holdfast/base';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { syncFolder, writePrivateFile } from '../state/write-private.ts';
import { takeoverErrors } from './errors.ts';

const Hex32 = z.string().regex(/^[0-9a-f]{64}$/);

const Pending = z.strictObject({
  version: z.literal(1),
  /** The enrolment that it belongs to. */
  deviceUid: z.string(),
  /** The computer that is replaced, as a person named it. */
  device: z.string(),
  /** Ed25519: the archive's next writer. */
  signingSeed: Hex32,
  /** X25519: what the old computer seals the keys to. */
  recipientKey: Hex32,
  /** What the server was shown last. */
  proof: z.strictObject({ text: z.string(), signature: z.string() }).optional(),
  /** The server was asked to hand the archive over by that proof, and may have done it. */
  mayBeDone: z.literal(true).optional(),
});
/** What is kept of it. */
export type PendingTakeover = z.infer<typeof Pending>;

/** The file of a state folder: mode 0600, replaced whole. */
export class TakeoverStore {
  readonly #file: string;

  constructor(stateDir: string) {
    this.#file = path.join(stateDir, 'takeover.json');
  }

  /** What was begun; undefined where nothing was. @throws agent_takeover.state_damaged */
  load(): PendingTakeover | undefined {
    const text = this.#read();
    if (text === undefined) return undefined;
    try {
      return Pending.parse(JSON.parse(text));
    } catch {
      // The parser's own words are not kept: they may quote the keys.
      throw takeoverErrors.state_damaged({ file: this.#file });
    }
  }

  /**
   * What was begun for this device, or a new one, which is on stable storage before its keys are used.
   *
   * @throws agent_takeover.unsettled where this computer may have another device's archive by now, by the keys that are kept
   */
  begin(wanted: { readonly deviceUid: string; readonly device: string }, random: Random): PendingTakeover {
    const before = this.load();
    if (before?.deviceUid === wanted.deviceUid && before.device === wanted.device) return before;
    // Of an earlier enrolment it is worth nothing: the proof was for another key.
    if (before?.mayBeDone && before.deviceUid === wanted.deviceUid) throw this.unsettled(before);
    const [signingSeed, recipientKey] = [random(32), random(32)].map((bytes) => Buffer.from(bytes).toString('hex'));
    const pending = { version: 1, ...wanted, signingSeed: signingSeed!, recipientKey: recipientKey! } as const;
    this.save(pending);
    return pending;
  }

  /**
   * Refuses where a takeover may be done of which this computer has not everything yet: it would go on without the archive
   * that the server gives to it alone.
   *
   * @throws agent_takeover.unsettled, agent_takeover.state_damaged
   */
  expectNothingUnsettled(): void {
    const pending = this.load();
    if (pending?.mayBeDone) throw this.unsettled(pending);
  }

  /** What to say where a takeover that was begun has to come to its end first. */
  unsettled({ device }: PendingTakeover): CodedError {
    return takeoverErrors.unsettled({ device, file: this.#file });
  }

  save(pending: PendingTakeover): void {
    writePrivateFile(this.#file, `${JSON.stringify(Pending.parse(pending))}\n`);
  }

  /** Forgets it, for good. */
  remove(): void {
    for (const name of [this.#file, `${this.#file}.new`]) rmSync(name, { force: true });
    syncFolder(path.dirname(this.#file));
  }

  #read(): string | undefined {
    let fd: number;
    try {
      fd = openSync(this.#file, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw takeoverErrors.state_damaged({ file: this.#file }, error);
    }
    try {
      const { mode, uid } = fstatSync(fd);
      if (uid !== process.geteuid?.() || (mode & 0o077) !== 0) throw takeoverErrors.state_damaged({ file: this.#file });
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  }
}

/** The public key (Ed25519, base64url) of the archive's next writer. */
export function writerKeyOf({ signingSeed }: PendingTakeover): string {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(signingSeed, 'hex')]);
  const { x = '' } = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
    format: 'jwk',
  });
  return x;
}

/** What the old computer seals the keys to. */
export function recipientOf({ recipientKey }: PendingTakeover): HpkeKey {
  return importHpkeKey(Uint8Array.fromHex(recipientKey));
}
