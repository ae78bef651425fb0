import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { systemClock, type Clock } from '@holdfast/base';
import { isReleaseExpired, parseReleaseRequest, releaseRequestSha256, type SignedText } from '@holdfast/trust';
import { z } from 'zod';
import { syncFolder, writePrivateFile } from '../state/write-private.ts';

/** A request, with the private half of its recipient key (32 bytes), which is the caller's to overwrite. */
export type KeptRequest = { readonly request: SignedText; readonly recipientSeed: Uint8Array };

/** Where requests are kept until what they ask for is taken. */
export type KeptRequests = {
  readonly add: (kept: KeptRequest) => void;
  readonly find: (requestSha256: string) => KeptRequest | undefined;
  /** Removes one whose keys were taken: who has the recipient key later opens nothing by it. */
  readonly forget: (requestSha256: string) => void;
};

const Kept = z.strictObject({
  version: z.literal(1),
  request: z.strictObject({ text: z.string(), signature: z.string() }),
  recipientSeed: z.string(),
});

/**
 * Keeps requests in a folder, each in a file of mode 0600 named by its hash. Those that have expired are gone when one is added.
 *
 * Adding one throws state.disk_full.
 */
export function keptRequestsIn(folder: string, clock: Clock = systemClock): KeptRequests {
  const fileOf = (requestSha256: string) => path.join(folder, `${requestSha256}.json`);
  return {
    add({ request, recipientSeed }) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      removeExpired(folder, clock.now());
      const content = { version: 1, request, recipientSeed: Buffer.from(recipientSeed).toString('base64url') };
      writePrivateFile(fileOf(releaseRequestSha256(request.text)), `${JSON.stringify(content)}\n`);
    },
    find(requestSha256) {
      const kept = isName(requestSha256) ? read(fileOf(requestSha256)) : undefined;
      if (!kept || releaseRequestSha256(kept.request.text) !== requestSha256) return undefined;
      const recipientSeed = new Uint8Array(Buffer.from(kept.recipientSeed, 'base64url'));
      return { request: kept.request, recipientSeed };
    },
    forget(requestSha256) {
      if (!isName(requestSha256) || !existsSync(folder)) return;
      rmSync(fileOf(requestSha256), { force: true });
      syncFolder(folder);
    },
  };
}

const isName = (text: string) => /^[0-9a-f]{64}$/.test(text);

function removeExpired(folder: string, nowMs: number): void {
  for (const name of readdirSync(folder)) {
    const kept = name.endsWith('.json') ? read(path.join(folder, name)) : undefined;
    if (kept && isReleaseExpired(parseReleaseRequest(kept.request.text), nowMs)) rmSync(path.join(folder, name));
  }
}

/** What a file keeps; undefined where it is not there, or damaged: either way nothing opens what was released to it. */
function read(file: string): z.infer<typeof Kept> | undefined {
  try {
    return Kept.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
