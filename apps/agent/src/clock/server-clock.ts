/**
 * The server's time as the agent estimates it: the last receipt's, and what the clock that counts sleep has run since.
 *
 * It is kept beside the newest receipt, so that an agent that is started again goes on estimating without its server. After
 * the machine was started anew the wall clock counts until a receipt comes, but never as earlier than the last one was.
 */
import { readFileSync } from 'node:fs';
import type { CommitClock, CommitInstant } from '@holdfast/archive';
import type { Clock } from '@holdfast/base';
import { z } from 'zod';
import { writePrivateFile } from '../state/write-private.ts';
import type { BootClock } from './boot-clock.ts';

/** A moment at which the server's time was known. */
const Anchor = z.strictObject({
  serverMs: z.number(),
  bootMs: z.number(),
  bootId: z.string(),
});
type Anchor = z.infer<typeof Anchor>;

const KeptReceipt = Anchor.extend({
  version: z.literal(1),
  /** The receipt as the server signed it. */
  jws: z.string(),
});

/** What is needed of a verified receipt. */
export type TimedReceipt = {
  readonly jws: string;
  readonly claims: { readonly at: string; readonly head: { readonly number: number } | null };
};

/** The time that commits are to bear. */
export class ServerClock implements CommitClock {
  readonly #wall: Clock;
  readonly #boot: BootClock;
  readonly #file: string | undefined;
  #anchor: Anchor | undefined;
  #keptHead: number | undefined;

  /** @param file where the newest receipt is kept; nowhere when left out */
  constructor(ports: { readonly wall: Clock; readonly boot: BootClock; readonly file?: string }) {
    this.#wall = ports.wall;
    this.#boot = ports.boot;
    this.#file = ports.file;
    const kept = ports.file === undefined ? undefined : readKept(ports.file);
    const now = this.#boot.read();
    const isThisStart = kept?.bootId === now.bootId && kept.bootMs <= now.bootMs;
    // The time between the last receipt and this start is not known: at least none has passed.
    this.#anchor = kept && (isThisStart ? kept : { ...kept, bootMs: now.bootMs });
  }

  read(): CommitInstant {
    const { bootMs, bootId } = this.#boot.read();
    const wallMs = this.#wall.now();
    const anchor = this.#anchor;
    if (!anchor) return { atMs: wallMs, bootMs, bootId, isConfirmed: false };
    const serverMs = anchor.serverMs + bootMs - anchor.bootMs;
    const isConfirmed = anchor.bootId === bootId;
    return { atMs: isConfirmed ? serverMs : Math.max(wallMs, serverMs), bootMs, bootId, isConfirmed };
  }

  /** Takes the time of a receipt that just came, and keeps the receipt when it acknowledged a commit. */
  note({ jws, claims }: TimedReceipt): void {
    this.#anchor = { serverMs: Date.parse(claims.at), ...this.#boot.read() };
    const head = claims.head?.number ?? 0;
    if (this.#file === undefined || head === this.#keptHead) return;
    this.#keptHead = head;
    writePrivateFile(this.#file, `${JSON.stringify({ version: 1, ...this.#anchor, jws })}\n`);
  }
}

/** What is not there, or is not whole, says nothing: the next receipt replaces it. */
function readKept(file: string): Anchor | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { serverMs, bootMs, bootId } = KeptReceipt.parse(JSON.parse(text));
    return { serverMs, bootMs, bootId };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
