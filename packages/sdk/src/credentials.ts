import { OauthToken } from '@holdfast/contract';
import { problemOf, sdkErrors } from './problem-error.ts';
import { parseJson, textOf } from './reply-text.ts';

/** What the SDK needs of `fetch`; browsers' and Node's own both fit. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

/** What the SDK passes to `fetch`. */
export type FetchInit = {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  readonly duplex?: 'half';
  readonly signal?: AbortSignal;
  readonly credentials?: 'include' | 'omit';
};

/** Headers that prove who asks, for one request. */
export type Credentials = {
  headers(request: { readonly method: string; readonly url: string }): Promise<Readonly<Record<string, string>>>;
  /** Whether the browser should send its cookies along. */
  readonly cookies: boolean;
};

/** Asks without saying who: for open routes. */
export const anonymous: Credentials = { headers: async () => ({}), cookies: false };

/** Sends a token the caller already has. */
export const bearer = (token: string): Credentials => ({
  headers: async () => ({ authorization: `Bearer ${token}` }),
  cookies: false,
});

/** Relies on the browser's session cookie; `csrfToken` comes from signing in. */
export const browserSession = (csrfToken: string): Credentials => ({
  headers: async () => ({ 'x-csrf-token': csrfToken }),
  cookies: true,
});

/** What `POST /v1/oauth` needs. */
export type ClientSecret = {
  readonly clientId: string;
  readonly clientSecret: string;
};

/**
 * Gets access tokens for an API client and keeps each until a minute before its end.
 *
 * Calls made at the same time share one request. `nowMs` tells the time.
 */
export function clientCredentials(
  secret: ClientSecret,
  server: { readonly baseUrl: string; readonly fetch: Fetch; readonly nowMs: () => number },
): Credentials {
  let held: { token: string; untilMs: number } | undefined;
  let asking: Promise<string> | undefined;
  const ask = async () => {
    const basic = new TextEncoder().encode(`${secret.clientId}:${secret.clientSecret}`).toBase64();
    const reply = await server.fetch(`${server.baseUrl}/v1/oauth`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
    });
    if (!reply.ok) throw await problemOf(reply);
    const parsed = OauthToken.safeParse(parseJson(await textOf(reply).catch(() => undefined)));
    if (!parsed.success) throw sdkErrors.not_a_problem({ status: reply.status }, parsed.error);
    const { access_token: token, expires_in: seconds } = parsed.data;
    held = { token, untilMs: server.nowMs() + (seconds - 60) * 1000 };
    return token;
  };
  return {
    cookies: false,
    async headers() {
      const fresh = held !== undefined && held.untilMs > server.nowMs() ? held.token : undefined;
      const token = fresh ?? (await (asking ??= ask().finally(() => (asking = undefined))));
      return { authorization: `Bearer ${token}` };
    },
  };
}
