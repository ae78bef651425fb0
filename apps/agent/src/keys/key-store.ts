/**
 * The file in which a device keeps its archive's keys: the one thing that nothing can rebuild.
 *
 * Mode 0600, replaced whole, refused where anybody else could read or write it or owns it. Beside the keys it holds the
 * header and every keyring, so that a destination that is new or empty can be given them.
 */
import { closeSync, fstatSync, openSync, readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import type { ArchiveKeys, Introduction } from '@holdfast/archive';
import { syncFolder, writePrivateFile } from '../state/write-private.ts';
import path from 'node:path';
import { keyErrors } from './errors.ts';

/** What the file holds. */
export type StoredKeys = {
  readonly keys: ArchiveKeys;
  /** The header record and all keyring records, by rising number. */
  readonly keyRecords: readonly Uint8Array[];
  /** When a recovery code was last typed back, in milliseconds since 1970; absent where none was. */
  readonly recoveryConfirmedAtMs?: number;
  /** Of a computer that has taken the archive over and is not among its writers yet: as whom it comes in. */
  readonly successor?: Successor;
  /** What the user chose in place of the standard policy; kept here, where no server decides it. */
  readonly choice?: OwnKeyChoice;
};

/** The next writer of an archive that was taken over. */
export type Successor = {
  readonly origin: (typeof successorOrigins)[number];
  /** 32 bytes: Ed25519, whose public half the server was told. */
  readonly signingSeed: Uint8Array;
  /** What the old computer signed for it. */
  readonly introductions: readonly Introduction[];
};

const successorOrigins = ['device_signed', 'recovery_code', 'administrator'] as const;

/** Keys that a user may choose to be the only way into an archive, besides the recovery code. */
export const ownKeyChoices = ['password', 'custom'] as const;

/** An archive key password, or a custom key. */
export type OwnKeyChoice = (typeof ownKeyChoices)[number];

/** What version 1 held of slots opens in no archive of this draft. */
const keyFileVersion = 2;

const Hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const Moment = z.object({ seconds: z.number().int(), nanoseconds: z.number().int() });

const KeyFileContent = z.strictObject({
  version: z.literal(keyFileVersion),
  archiveId: Hex(16),
  writerNumber: z.number().int().min(0).max(65_535),
  signingSeed: Hex(32),
  keyring: z.strictObject({ number: z.number().int().min(1), sha256: Hex(32) }),
  epochs: z
    .array(
      z.strictObject({ number: z.number().int(), suite: z.number().int(), key: Hex(32), madeAt: Moment.optional() }),
    )
    .min(1),
  slotKeys: z.array(z.strictObject({ slotId: Hex(16), publicKey: Hex(32) })),
  keyRecords: z.array(z.base64()).min(2),
  recoveryConfirmedAtMs: z.number().optional(),
  choice: z.enum(ownKeyChoices).optional(),
  successor: z
    .strictObject({
      origin: z.enum(successorOrigins),
      signingSeed: Hex(32),
      introductions: z.array(z.strictObject({ firstCommit: z.number().int().min(1), signature: Hex(64) })),
    })
    .optional(),
});

const OlderContent = z.object({ version: z.literal(1) });

/** The key file at one path. */
export class KeyStore {
  readonly path: string;

  constructor(file: string) {
    this.path = file;
  }

  /** The keys; undefined where there is no file. @throws keys.exposed, keys.other_owner, keys.damaged, keys.older_draft */
  load(): StoredKeys | undefined {
    const text = this.#read();
    if (text === undefined) return undefined;
    let content: unknown;
    try {
      content = JSON.parse(text);
      return fromContent(KeyFileContent.parse(content));
    } catch {
      // The parser's own error is not kept as the cause: it may quote what the file says.
      if (OlderContent.safeParse(content).success) throw keyErrors.older_draft({ file: this.path });
      throw keyErrors.damaged({ file: this.path });
    }
  }

  /** Replaces the file; returns once it is on stable storage. */
  save(stored: StoredKeys): void {
    writePrivateFile(this.path, `${JSON.stringify(toContent(stored))}\n`);
  }

  /** Removes the keys for good: a device that was deauthorised keeps none. */
  remove(): void {
    rmSync(this.path, { force: true });
    rmSync(`${this.path}.new`, { force: true });
    syncFolder(path.dirname(this.path));
  }

  #read(): string | undefined {
    let fd: number;
    try {
      fd = openSync(this.path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw keyErrors.damaged({ file: this.path }, error);
    }
    try {
      const { mode, uid } = fstatSync(fd);
      if (uid !== process.geteuid?.()) throw keyErrors.other_owner({ file: this.path, uid });
      if ((mode & 0o077) !== 0) throw keyErrors.exposed({ file: this.path, mode: (mode & 0o7777).toString(8) });
      return readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  }
}

function toContent(stored: StoredKeys): z.infer<typeof KeyFileContent> {
  const { keys, keyRecords, recoveryConfirmedAtMs, choice, successor } = stored;
  return {
    version: keyFileVersion,
    archiveId: hex(keys.archiveId),
    writerNumber: keys.writerNumber,
    signingSeed: hex(keys.signingSeed),
    keyring: { number: keys.keyring.number, sha256: hex(keys.keyring.sha256) },
    epochs: keys.ring.epochs.map(({ number, suite, key, madeAt }) => ({
      number,
      suite,
      key: hex(key),
      ...(madeAt && { madeAt }),
    })),
    slotKeys: keys.ring.slotKeys.map(({ slotId, publicKey }) => ({
      slotId: hex(slotId),
      publicKey: hex(publicKey),
    })),
    keyRecords: keyRecords.map((record) => Buffer.from(record).toString('base64')),
    ...(recoveryConfirmedAtMs !== undefined && { recoveryConfirmedAtMs }),
    ...(choice && { choice }),
    ...(successor && { successor: successorContent(successor) }),
  };
}

function successorContent({ origin, signingSeed, introductions }: Successor) {
  const signed = introductions.map(({ firstCommit, signature }) => ({ firstCommit, signature: hex(signature) }));
  return { origin, signingSeed: hex(signingSeed), introductions: signed };
}

function successorOf(content: NonNullable<z.infer<typeof KeyFileContent>['successor']>): Successor {
  const introductions = content.introductions.map(({ firstCommit, signature }) => ({
    firstCommit,
    signature: Uint8Array.fromHex(signature),
  }));
  return { origin: content.origin, signingSeed: Uint8Array.fromHex(content.signingSeed), introductions };
}

function fromContent(content: z.infer<typeof KeyFileContent>): StoredKeys {
  const epochs = content.epochs.map(({ number, suite, key, madeAt }) => ({
    number,
    suite,
    key: Uint8Array.fromHex(key),
    ...(madeAt && { madeAt }),
  }));
  const slotKeys = content.slotKeys.map(({ slotId, publicKey }) => ({
    slotId: Uint8Array.fromHex(slotId),
    publicKey: Uint8Array.fromHex(publicKey),
  }));
  const { writerNumber, keyring, recoveryConfirmedAtMs, choice, successor } = content;
  return {
    keys: {
      archiveId: Uint8Array.fromHex(content.archiveId),
      ring: { epochs, slotKeys },
      writerNumber,
      signingSeed: Uint8Array.fromHex(content.signingSeed),
      keyring: { number: keyring.number, sha256: Uint8Array.fromHex(keyring.sha256) },
    },
    keyRecords: content.keyRecords.map((record) => new Uint8Array(Buffer.from(record, 'base64'))),
    ...(recoveryConfirmedAtMs !== undefined && { recoveryConfirmedAtMs }),
    ...(choice && { choice }),
    ...(successor && { successor: successorOf(successor) }),
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
