import { createHash, createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { CodedError, systemClock, systemRandom, type Clock, type Random } from '@holdfast/base';
import { deviceRoutes, isOpen, roleOf, storageRoutes, type Route } from '@holdfast/contract';
import { anonymous, call, type ClientOptions, type Credentials, type Fetch } from '@holdfast/sdk';
import { judgeRefusal } from './deauthorization.ts';
import type { Enrollment } from './enrollment-store.ts';
import { createHttpsFetch, type HttpsFetch, type HttpsSettings } from './https-fetch.ts';

/** What talking to the cloud needs besides the enrolment. */
export type CloudClientOptions = Pick<HttpsSettings, 'proxyEnv'> & {
  readonly clock?: Clock;
  readonly random?: Random;
};

type Audience = 'api' | 'storage';
type HeldToken = { readonly token: string; readonly untilMs: number };
type Input<R extends Route> = Parameters<typeof call<R>>[2];

/** Refreshed so long before their end. */
const TOKEN_RESERVE_MS = 60_000;
/** Nonces live five minutes. */
const NONCE_RESERVE_MS = 120_000;

/**
 * The device's way to its cloud: requests with a token bound to the device's key, and a fresh proof of that key in each.
 *
 * Freshness comes from the server's nonces, so a clock that is wrong by days does not matter. Calls may overlap.
 */
export class CloudClient {
  readonly enrollment: Enrollment;
  readonly #https: HttpsFetch;
  readonly #privateKey: KeyObject;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Each server role makes nonces of its own. */
  readonly #nonces = new Map<Audience, { readonly nonce: string; readonly atMs: number }>();
  readonly #tokens = new Map<Audience, HeldToken>();
  readonly #asking = new Map<Audience, Promise<string>>();

  constructor(enrollment: Enrollment, options: CloudClientOptions = {}) {
    const { clock = systemClock, random = systemRandom, proxyEnv } = options;
    this.enrollment = enrollment;
    this.#clock = clock;
    this.#random = random;
    this.#privateKey = createPrivateKey({ key: { ...enrollment.deviceKey }, format: 'jwk' });
    this.#https = createHttpsFetch({ ca: enrollment.caPem ?? undefined, ...(proxyEnv && { proxyEnv }) });
  }

  /**
   * Calls a route. Stale nonces and tokens are renewed without the caller's knowing; nothing else is tried again.
   *
   * @throws the server's errors, sdk.unreachable; devices.deauthorized only where that is proved, else
   * cloud_link.deauthorization_unproven
   */
  async call<R extends Route>(route: R, input: Input<R>): Promise<Awaited<ReturnType<typeof call<R>>>> {
    const audience = roleOf(route) === 'storage' ? 'storage' : 'api';
    const isAnonymous = isOpen(route.permission);
    if ((input as { stream?: unknown }).stream !== undefined) await this.#freshen(audience);
    for (let attempt = 1; ; attempt++) {
      try {
        const credentials = isAnonymous ? anonymous : this.#credentials(audience);
        return await call(this.#optionsFor(audience, credentials), route, input);
      } catch (error) {
        if (attempt === 4 || !this.#learn(audience, error)) throw judgeRefusal(error, this.enrollment);
      }
    }
  }

  /**
   * Gets a nonce before a body is sent: a server that refuses a proof does not read the body behind it, and then its
   * refusal may be lost with the connection.
   */
  async #freshen(audience: Audience): Promise<void> {
    const atMs = this.#nonces.get(audience)?.atMs ?? -Infinity;
    if (audience === 'storage' && this.#clock.monotonic() - atMs > NONCE_RESERVE_MS)
      await this.call(storageRoutes.list, {});
  }

  /** Ends the connections that are kept. */
  close(): void {
    this.#https.close();
  }

  #optionsFor(audience: Audience, credentials: Credentials): ClientOptions {
    const fetch: Fetch = async (url, init) => {
      const reply = await this.#https.fetch(url, init);
      const nonce = reply.headers.get('dpop-nonce');
      if (nonce !== null) this.#nonces.set(audience, { nonce, atMs: this.#clock.monotonic() });
      return reply;
    };
    return { baseUrl: this.enrollment.url, fetch, credentials };
  }

  /** Whether a refusal told us what the next try needs. */
  #learn(audience: Audience, error: unknown): boolean {
    if (!(error instanceof CodedError)) return false;
    if (error.code === 'auth.use_nonce') return typeof error.details['dpopNonce'] === 'string';
    // The server's keys may have changed, or the machine slept longer than the token lives.
    if (error.code === 'auth.expired' || error.code === 'auth.invalid') return this.#tokens.delete(audience);
    return false;
  }

  #credentials(audience: Audience): Credentials {
    return {
      cookies: false,
      headers: async ({ method, url }) => {
        const token = await this.#token(audience);
        const proof = this.#sign(
          { typ: 'dpop+jwt', jwk: this.#publicJwk() },
          {
            htm: method,
            htu: url.split('?')[0],
            ath: createHash('sha256').update(token).digest('base64url'),
            ...this.#freshness(audience),
          },
        );
        return { authorization: `DPoP ${token}`, dpop: proof };
      },
    };
  }

  #token(audience: Audience): Promise<string> {
    const held = this.#tokens.get(audience);
    if (held && held.untilMs > this.#clock.monotonic()) return Promise.resolve(held.token);
    const asking = this.#asking.get(audience) ?? this.#askForToken(audience);
    this.#asking.set(audience, asking);
    return asking.finally(() => this.#asking.delete(audience));
  }

  async #askForToken(audience: Audience): Promise<string> {
    const { deviceUid, installationId } = this.enrollment;
    const options = this.#optionsFor('api', anonymous);
    for (let attempt = 1; ; attempt++) {
      const claims = { iss: deviceUid, sub: deviceUid, aud: installationId, ...this.#freshness('api') };
      try {
        const body = { assertion: this.#sign({}, claims), audience };
        const { access_token: token, expires_in: seconds } = await call(options, deviceRoutes.token, { body });
        const untilMs = this.#clock.monotonic() + seconds * 1_000 - TOKEN_RESERVE_MS;
        this.#tokens.set(audience, { token, untilMs });
        return token;
      } catch (error) {
        const isStale = error instanceof CodedError && error.code === 'auth.use_nonce';
        if (!isStale || attempt === 3) throw error;
      }
    }
  }

  #freshness(audience: Audience) {
    const nonce = this.#nonces.get(audience)?.nonce;
    const jti = Buffer.from(this.#random(16)).toString('base64url');
    return { jti, iat: Math.floor(this.#clock.now() / 1_000), ...(nonce === undefined ? {} : { nonce }) };
  }

  #publicJwk() {
    const { kty, crv, x } = this.enrollment.deviceKey;
    return { kty, crv, x };
  }

  /** A JWT (RFC 7519) signed with the device's key. */
  #sign(header: object, claims: object): string {
    const signed = `${base64url({ alg: 'EdDSA', ...header })}.${base64url(claims)}`;
    return `${signed}.${sign(undefined, Buffer.from(signed), this.#privateKey).toString('base64url')}`;
  }
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
