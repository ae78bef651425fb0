import { z } from 'zod';
import { base64UrlBytes, DisplayName, Sha256Hex } from './shapes.ts';

/**
 * What a person is given when its key is registered, by file: where the server is, and by what it is known. It is no secret.
 *
 * With it the person's commands trust nothing on first use; without the person's key it lets nobody do anything.
 */
export const PersonCard = z.strictObject({
  version: z.literal(1),
  /** Where the server is, without a final slash. */
  url: z.url({ protocol: /^https?$/, error: 'it must be an address such as https://backup.example.org' }),
  installationId: z.uuid(),
  tenantUid: z.uuid(),
  /** SHA-256 of the DER form of the CA's certificate; null where the system's own list of CAs counts. */
  caSha256: Sha256Hex.nullable(),
  /** The verifier key of the tenant's log. */
  logKey: z.string().max(400),
  userUid: z.uuid(),
  username: DisplayName,
  /** The key that was registered: Ed25519, 32 bytes, base64url. */
  publicKey: base64UrlBytes(32),
});
export type PersonCard = z.infer<typeof PersonCard>;
