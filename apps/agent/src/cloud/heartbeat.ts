import { rmSync } from 'node:fs';
import path from 'node:path';
import { retryDelayMs, systemClock, type Clock } from '@holdfast/base';
import { deviceRoutes, type PolicySettings } from '@holdfast/contract';
import { KeyStore } from '../keys/key-store.ts';
import { syncFolder } from '../state/write-private.ts';
import type { CloudClient } from './cloud-client.ts';
import { isDeauthorized } from './deauthorization.ts';
import { EnrollmentStore } from './enrollment-store.ts';

/** What an agent is. */
export type AgentFacts = { readonly agentVersion: string; readonly os: string };

/** What a heartbeat tells the cloud. */
export type HeartbeatFacts = AgentFacts & {
  /** The head of the key log that was verified last: a signed note. */
  readonly keyLogHead?: string | undefined;
};

/** What the cloud tells a device that runs. */
export type CloudWord = {
  /** RFC 3339. */
  readonly serverTime: string;
  readonly orgUid: string;
  readonly blocked: boolean;
  readonly settings: PolicySettings;
};

/** Sends one heartbeat. @throws devices.deauthorized, cloud_link.deauthorization_unproven, sdk.unreachable */
export function heartbeat(client: CloudClient, { keyLogHead, ...facts }: HeartbeatFacts): Promise<CloudWord> {
  const body = { ...facts, ...(keyLogHead !== undefined && { keyLogHead }) };
  return client.call(deviceRoutes.heartbeat, { body });
}

/** What keeping up heartbeats needs. */
export type HeartbeatOptions = AgentFacts & {
  readonly client: CloudClient;
  readonly clock?: Clock;
  readonly signal: AbortSignal;
  /** What the next heartbeat says of the key log. */
  readonly keyLogHead?: () => string | undefined;
  /** What is done after each word of the server, before the next heartbeat is due. */
  readonly onWord?: (word: CloudWord) => Promise<void> | void;
  /** Told why nothing was heard; it is tried again. */
  readonly onSilence?: (error: unknown) => void;
};

/** How often a device says that it runs: a deauthorised one knows within this time of its next contact. */
export const HEARTBEAT_MS = 30_000;
const BACKOFF = { attempts: Infinity, firstDelayMs: 1_000, maxDelayMs: HEARTBEAT_MS } as const;

/** Sends heartbeats until the signal aborts, or the server proves that the device was deauthorised: says which ended it. */
export async function keepHeartbeats(options: HeartbeatOptions): Promise<'stopped' | 'deauthorized'> {
  const { client, clock = systemClock, signal, onWord, onSilence, keyLogHead, agentVersion, os } = options;
  for (let failures = 0; !signal.aborted;) {
    try {
      // Not within the call: without a listener its argument would never be evaluated, and nothing sent.
      const word = await heartbeat(client, { agentVersion, os, keyLogHead: keyLogHead?.() });
      await onWord?.(word);
      failures = 0;
    } catch (error) {
      if (isDeauthorized(error)) return 'deauthorized';
      failures++;
      onSilence?.(error);
    }
    const delayMs = failures === 0 ? HEARTBEAT_MS : retryDelayMs(BACKOFF, Math.min(failures, 10), Math.random());
    await clock.sleep(delayMs, signal).catch(() => undefined);
  }
  return 'stopped';
}

/**
 * Names in a state folder of what a deauthorised device has no right to keep, besides its keys. What it knows of the key
 * log is not among them: it is no key, and may be what proves that the server lied before it deauthorised the device.
 */
const DERIVED = ['index.db', 'agent.db', 'queue.db', 'receipt.json', 'takeover.json'];

/**
 * Removes the archive's key, the device's key, the queue and the local index from a state folder. The archive stays where
 * it is; coming back means enrolling anew. The agent calls it once that was proved to it, and ends.
 */
export function forgetDevice(stateDir: string): void {
  for (const name of ['keys.json', 'keys.json.announced']) new KeyStore(path.join(stateDir, name)).remove();
  new EnrollmentStore(stateDir).remove();
  for (const name of DERIVED)
    for (const suffix of ['', '-wal', '-shm', '-journal', '.new'])
      rmSync(path.join(stateDir, name + suffix), { force: true });
  syncFolder(stateDir);
}
