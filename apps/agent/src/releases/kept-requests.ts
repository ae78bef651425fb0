import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { releaseRequestSha256, type SignedText } from '@holdfast/trust';
import { z } from 'zod';
import { writePrivateFile } from '../state/write-private.ts';

/** A request, with the private half of its recipient key (32 bytes), which is the caller's to overwrite. */
export type KeptRequest = { readonly request: SignedText; readonly recipientSeed: Uint8Array };

/** Where requests are kept until what they ask for is taken. */
export type KeptRequests = {
  readonly add: (kept: KeptRequest) => void;
  readonly find: (requestSha256: string) => KeptRequest | undefined;
};

const Kept = z.strictObject({
  version: z.literal(1),
  request: z.strictObject({ text: z.string(), signature: z.string() }),
  recipientSeed: z.string(),
});

/** Keeps requests in a folder, each in a file of mode 0600 named by its hash. Adding one throws state.disk_full. */
export function keptRequestsIn(folder: string): KeptRequests {
  const fileOf = (requestSha256: string) => path.join(folder, `${requestSha256}.json`);
  return {
    add({ request, recipientSeed }) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const content = { version: 1, request, recipientSeed: Buffer.from(recipientSeed).toString('base64url') };
      writePrivateFile(fileOf(releaseRequestSha256(request.text)), `${JSON.stringify(content)}\n`);
    },
    find(requestSha256) {
      if (!/^[0-9a-f]{64}$/.test(requestSha256)) return undefined;
      let json: unknown;
      try {
        json = JSON.parse(readFileSync(fileOf(requestSha256), 'utf8'));
      } catch {
        // Not there, or damaged: either way nothing opens what was released to it.
        return undefined;
      }
      const parsed = Kept.safeParse(json);
      if (!parsed.success || releaseRequestSha256(parsed.data.request.text) !== requestSha256) return undefined;
      const recipientSeed = new Uint8Array(Buffer.from(parsed.data.recipientSeed, 'base64url'));
      return { request: parsed.data.request, recipientSeed };
    },
  };
}
