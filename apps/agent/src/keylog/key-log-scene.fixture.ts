import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext } from 'node:test';
import { systemClock } from '@holdfast/base';
import { type Route } from '@holdfast/contract';
import { anonymous, call } from '@holdfast/sdk';
import {
  appendLeaves,
  emptyTree,
  formatVerifierKey,
  keyLogOrigin,
  memorySource,
  noteSigner,
  outlineHash,
  proveConsistency,
  rootOf,
  signCheckpoint,
  subject,
  writeKeyLogLeaf,
  type KeyLogFact,
  type LeafOutline,
} from '@holdfast/trust';
import { followKeyLog, type FollowKeyLogOptions } from './follow-key-log.ts';
import { KeyLogBook } from './key-log-book.ts';
import { latenessOf } from './lateness.ts';
import type { GivenEscrowKeys } from './learn.ts';
import { lookForEscrowKeys } from './look-for-escrow-keys.ts';

/** Who this is about, and an archive of somebody else. */
export const [installationId, tenantUid, deviceUid, archiveId, stranger] = [1, 2, 3, 4, 5].map(
  (number) => `0190a000-0000-7000-8000-00000000000${number}`,
) as [string, string, string, string, string];
/** The name of the log. */
export const origin = keyLogOrigin(installationId, tenantUid);
/** A key of the name that the log's key has. */
export const newSigner = () =>
  noteSigner(`holdfast/${installationId}/${tenantUid}/audit`, generateKeyPairSync('ed25519').privateKey);
/** The key of the log. */
export const signer = newSigner();
/** The device, with a key of no use. */
export const device = { deviceUid, publicKey: 'A'.repeat(43) };
/** Whom leaves are about that the device has to see. */
export const subjects = [subject.archive(archiveId), subject.device(deviceUid), subject.everyone];
/** When everything begins. */
export const at = '2026-01-02T03:04:05.678Z';
const { signal } = new AbortController();

/** What all see of a leaf, and its text where it is shown. */
export type Entry = { readonly outline: LeafOutline; readonly body: string | undefined };

let made = 0;
/** A leaf about some archive, as it is shown to this device. */
export function leaf(about = stranger, fact: Partial<KeyLogFact> = {}): Entry {
  const slots = { keyringNumber: 1, keyringSha256: '0'.repeat(64), slots: [] };
  const nonce = Buffer.from(`nonce ${String(++made).padStart(10, '0')}`).toString('base64url');
  const whole = { kind: 'keyring_added', archiveId: about, ...slots, ...fact, at, nonce } as const;
  const { text, outline } = writeKeyLogLeaf(whole as Parameters<typeof writeKeyLogLeaf>[0]);
  return { outline, body: about === archiveId ? text : undefined };
}

/** A leaf that a key of a device was registered. */
export function keyLeaf(publicKey: string, of = deviceUid): Entry {
  const nonce = Buffer.from(`nonce ${String(++made).padStart(10, '0')}`).toString('base64url');
  const { text, outline } = writeKeyLogLeaf({ kind: 'key_registered', deviceUid: of, publicKey, at, nonce });
  return { outline, body: of === deviceUid ? text : undefined };
}

/** A leaf that the tenant's escrow keys were set. */
export function escrowLeaf(number: number, sha256: string): Entry {
  const nonce = Buffer.from(`nonce ${String(++made).padStart(10, '0')}`).toString('base64url');
  const { text, outline } = writeKeyLogLeaf({ kind: 'escrow_keys_set', number, sha256, at, nonce });
  return { outline, body: text };
}

/** A leaf over the heads of all archives. */
export function dayLeaf(day: string): Entry {
  const nonce = Buffer.from(`nonce ${String(++made).padStart(10, '0')}`).toString('base64url');
  const { text, outline } = writeKeyLogLeaf({
    kind: 'daily_heads',
    day,
    archives: 1,
    root: '0'.repeat(64),
    at,
    nonce,
  });
  return { outline, body: text };
}

/** What a server shows: a head that it signs over some leaves, the leaves, and proofs of that tree. */
export type Shown = {
  readonly entries: readonly Entry[];
  /** What the head is over, where that is something else. */
  readonly signed?: readonly Entry[];
  readonly size?: number;
  readonly note?: (note: string) => string;
  readonly by?: typeof signer;
  readonly name?: string;
  /** A proof of something else. */
  readonly proof?: readonly Uint8Array[];
  /** Heads that witnesses cosigned, as notes. */
  readonly cosigned?: readonly string[];
  /** The head that the keystore has followed, as a note. */
  readonly followed?: string | undefined;
  /** What is answered in place of leaves. */
  readonly withheld?: (reply: ServerResponse) => void;
};

const treeOf = (entries: readonly Entry[]) =>
  appendLeaves(
    emptyTree,
    entries.map(({ outline }) => outlineHash(outline)),
  );

/** A server on loopback that says what it is told to say, and a device that follows it. */
export class Scene {
  shown: Shown = { entries: [] };
  book: KeyLogBook;
  readonly file: string;
  readonly asked: string[] = [];
  /** What the device's clock shows. */
  nowMs = Date.parse(at);
  readonly clock = { ...systemClock, now: () => this.nowMs };
  readonly #client: FollowKeyLogOptions['client'];

  private constructor(folder: string, port: number) {
    const pinned = { origin, verifier: formatVerifierKey(signer.key) };
    this.file = path.join(folder, 'key-log.db');
    this.book = new KeyLogBook(this.file, pinned, this.clock);
    const options = { baseUrl: `http://127.0.0.1:${port}`, fetch, credentials: anonymous };
    const ask: unknown = (route: Route, input: object) => call(options, route, input as never);
    this.#client = { call: ask as FollowKeyLogOptions['client']['call'] };
  }

  static async start(t: TestContext): Promise<Scene> {
    const folder = mkdtempSync(path.join(tmpdir(), 'holdfast key log '));
    const server = createServer((request, response) => {
      scene.asked.push(request.url ?? '');
      const { withheld } = scene.shown;
      if (withheld && request.url?.includes('/leaves')) return withheld(response);
      void scene.#answer(new URL(request.url ?? '', 'http://localhost')).then((reply) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(reply));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const scene: Scene = new Scene(folder, (server.address() as AddressInfo).port);
    t.after(() => {
      server.close();
      server.closeAllConnections();
      scene.book.close();
      rmSync(folder, { recursive: true });
    });
    return scene;
  }

  follow(shown: Shown, more: Partial<FollowKeyLogOptions> = {}) {
    this.shown = shown;
    const { book, clock } = this;
    return followKeyLog({ client: this.#client, book, subjects, archiveId, device, clock, signal, ...more });
  }

  /** What a computer without an archive sees of the escrow keys that it was given. */
  look(shown: Shown, given: GivenEscrowKeys): Promise<string | undefined> {
    this.shown = shown;
    return lookForEscrowKeys({ client: this.#client, signal }, this.book.pinned, given);
  }

  /** Closes the book and opens it again; what is in it then. */
  reopen(pinned = this.book.pinned) {
    this.book.close();
    this.book.close();
    this.book = new KeyLogBook(this.file, pinned, this.clock);
    const { book, file } = this;
    const seen = [book.head()?.tree.size, book.hashes(0, 9).length, book.ownLeaves().length] as const;
    return { book, file, seen };
  }

  /** The codes of what is late after a time. */
  lateAfter(ms: number): readonly string[] {
    return latenessOf(this.book, this.nowMs + ms).map(({ error }) => error.code);
  }

  async #answer({ pathname, searchParams }: URL): Promise<object> {
    const { entries, signed = entries, size, note = (text) => text, by = signer, name = origin, proof } = this.shown;
    const tree = treeOf(signed);
    const treeSize = size ?? signed.length;
    const number = (key: string) => Number(searchParams.get(key));
    if (pathname.endsWith('/head')) {
      const text = signCheckpoint({ origin: name, treeSize, root: rootOf(tree.state) }, [by]);
      const cosigned = (this.shown.cosigned ?? []).map((each) => ({ treeSize, note: each }));
      const followed = this.shown.followed === undefined ? {} : { followed: { treeSize, note: this.shown.followed } };
      return { treeSize, signedAt: at, note: note(text), verifier: formatVerifierKey(by.key), cosigned, ...followed };
    }
    if (pathname.endsWith('/consistency')) {
      const hashes = proof ?? (await proveConsistency(memorySource(tree.nodes), number('fromSize'), number('toSize')));
      return { proof: hashes.map((hash) => Buffer.from(hash).toString('base64')) };
    }
    const page = entries.slice(number('from'), number('from') + number('limit'));
    return { leaves: page.map(({ outline, body }) => ({ outline: Buffer.from(outline).toString('base64url'), body })) };
  }
}

/** Five leaves, the second of them about the device's archive. */
export const genuine = () => [leaf(), leaf(archiveId), leaf(), leaf(), leaf(stranger)];

/** How a step went, or what was wrong in it. */
export async function codeOf(followed: ReturnType<Scene['follow']>): Promise<string> {
  const result = await followed;
  return result.status === 'fault' ? result.error.code : result.status;
}
