import { KMSClient, type KMSClientConfig } from '@aws-sdk/client-kms';
import { z } from 'zod';
import { remoteErrors, within } from './kms-remote.ts';

/** Where AWS KMS is reached. */
export type AwsPlace = {
  readonly region: string;
  /** Another address than that of the region; null for that. */
  readonly endpoint: string | null;
};

/** Credentials as they are handed to another process. */
export const AwsCredentials = z.strictObject({
  accessKeyId: z.string(),
  secretAccessKey: z.string(),
  sessionToken: z.string().optional(),
  /** When they are no longer taken. */
  expiresAt: z.iso.datetime().optional(),
});
/** Credentials as they are handed to another process. */
export type AwsCredentials = z.infer<typeof AwsCredentials>;

/** Where credentials come from: a profile of AWS's own files, AWS's usual chain of places, or whoever is asked. */
export type AwsIdentity =
  { readonly profile: string | undefined } | { readonly readCredentials: () => Promise<AwsCredentials> };

/** Two further tries, since a call that takes longer is given up as a whole. */
const ATTEMPTS = 3;
const CONNECT_MS = 2_000;
const REQUEST_MS = 2_500;

/** A client whose calls end within bounds. */
export function makeAwsClient({ region, endpoint }: AwsPlace, identity: AwsIdentity): KMSClient {
  const settings: KMSClientConfig = {
    region,
    ...(endpoint !== null && { endpoint }),
    maxAttempts: ATTEMPTS,
    retryMode: 'standard',
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: REQUEST_MS, throwOnRequestTimeout: true },
  };
  if ('profile' in identity)
    return new KMSClient({ ...settings, ...(identity.profile !== undefined && { profile: identity.profile }) });
  return new KMSClient({ ...settings, credentials: async () => toIdentity(await identity.readCredentials()) });
}

function toIdentity({ accessKeyId, secretAccessKey, sessionToken, expiresAt }: AwsCredentials) {
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken !== undefined && { sessionToken }),
    ...(expiresAt !== undefined && { expiration: new Date(expiresAt) }),
  };
}

/** The credentials that a client works with just now. @throws kms_remote.* */
export async function credentialsOf(client: KMSClient): Promise<AwsCredentials> {
  return calling(async () => {
    const { accessKeyId, secretAccessKey, sessionToken, expiration } = await client.config.credentials();
    return {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      ...(expiration !== undefined && { expiresAt: expiration.toISOString() }),
    };
  });
}

/** Does a call within its time. @throws kms_remote.* for whatever goes wrong in it, but for what `answers` names */
export async function calling<T>(
  work: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
  answers: (name: string) => Error | undefined = () => undefined,
): Promise<T> {
  return within(async (abortSignal) => {
    try {
      return await work({ abortSignal });
    } catch (error) {
      throw answers(nameOf(error)) ?? declared(error);
    }
  });
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** By the names of the service's errors; docs of the API list them for each call. */
const denied = new Set([
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'IncompleteSignature',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'MissingAuthenticationTokenException',
  'OptInRequired',
]);
const throttled = new Set(['ThrottlingException', 'Throttling', 'RequestLimitExceeded', 'TooManyRequestsException']);
const unusable = new Set(['DisabledException', 'KMSInvalidStateException', 'NotFoundException']);
const away = new Set(['KMSInternalException', 'DependencyTimeoutException', 'KeyUnavailableException', 'TimeoutError']);

/** What was sent and what came back stay out of it: of the service's words its own name for the failure is kept. */
function declared(error: unknown): unknown {
  const name = nameOf(error);
  const facts = { reason: name };
  if (name === 'CredentialsProviderError') return remoteErrors.no_credentials({ field: 'HOLDFAST_KMS' }, error);
  if (denied.has(name)) return remoteErrors.denied(facts, error);
  if (throttled.has(name)) return remoteErrors.throttled(facts, error);
  if (unusable.has(name)) return remoteErrors.key_unusable(facts, error);
  const lost = lostBy(error);
  if (lost !== undefined) return remoteErrors.away({ reason: lost }, error);
  return error instanceof Error && '$metadata' in error ? remoteErrors.refused(facts, error) : error;
}

/** Why no answer came, or none that says anything; undefined where one did. */
function lostBy(error: unknown): string | undefined {
  const { $metadata, code } = error as { readonly $metadata?: { httpStatusCode?: number }; readonly code?: unknown };
  if (typeof code === 'string') return code;
  const name = nameOf(error);
  return away.has(name) || ($metadata?.httpStatusCode ?? 0) >= 500 ? name : undefined;
}
