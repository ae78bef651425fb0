import { z } from 'zod';
import { defineRoute, open } from './route.ts';

/** An access token for an API client. */
export const OauthToken = z.object({
  token_type: z.literal('bearer'),
  /** Seconds the token lives. */
  expires_in: z.number().int(),
  access_token: z.string(),
});
export type OauthToken = z.infer<typeof OauthToken>;

/** The public half of the keys that sign tokens (RFC 7517). */
export const Jwks = z.object({
  keys: z.array(
    z.object({
      kty: z.literal('OKP'),
      crv: z.literal('Ed25519'),
      x: z.string(),
      kid: z.string(),
      alg: z.literal('EdDSA'),
      use: z.literal('sig'),
    }),
  ),
});
export type Jwks = z.infer<typeof Jwks>;

const grant = z.object({
  grant_type: z.literal('client_credentials').optional(),
  client_id: z.string().max(200).optional(),
  client_secret: z.string().max(200).optional(),
});

/** Routes that hand out and explain tokens. */
export const oauthRoutes = {
  token: defineRoute({
    method: 'POST',
    path: '/v1/oauth',
    summary: 'Exchange the credentials of an API client for an access token',
    permission: open('the credentials in the request are what is checked'),
    query: z.object({ grant_type: z.literal('client_credentials').optional() }),
    body: grant,
    form: true,
    maxBodyBytes: 4096,
    status: 200,
    reply: OauthToken,
  }),
  jwks: defineRoute({
    method: 'GET',
    path: '/.well-known/jwks.json',
    summary: 'Read the public keys that verify access tokens',
    permission: open('public keys are public'),
    status: 200,
    reply: Jwks,
  }),
};
