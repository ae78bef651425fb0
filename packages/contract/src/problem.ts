import { defineErrors } from '@holdfast/base';
import { z } from 'zod';

/**
 * The body of every reply that is not a success (`application/problem+json`).
 *
 * `code` is `noun.reason` and never renamed; `title` is for people; `details` holds facts such as the field at fault.
 */
export const Problem = z.object({
  code: z.string().regex(/^[a-z_]+\.[a-z_]+$/),
  kind: z.enum([
    'invalid',
    'unauthenticated',
    'forbidden',
    'not_found',
    'conflict',
    'exhausted',
    'unavailable',
    'corrupt',
    'internal',
  ]),
  title: z.string(),
  details: z.record(z.string(), z.unknown()),
  requestId: z.string(),
});
export type Problem = z.infer<typeof Problem>;

/** Failures any route can answer with before its use case is reached. */
export const requestErrors = defineErrors('request', {
  invalid: ['invalid', 'The request does not have the declared shape'],
  invalid_json: ['invalid', 'The body is not well-formed JSON'],
  invalid_text: ['invalid', 'Text contains a NUL character or broken Unicode, or a field is called __proto__'],
  too_deep: ['invalid', 'The body is nested too deeply'],
  too_large: ['invalid', 'The request is larger than this address accepts'],
  unsupported_media: ['invalid', 'This address does not accept a body of that type'],
  misdirected: ['not_found', 'This server does not answer for that host'],
  no_route: ['not_found', 'Nothing is found at this address'],
  cross_site: ['forbidden', 'The request did not come from a page of this server'],
  overloaded: ['unavailable', 'The server is busy; try again'],
  no_room: ['exhausted', 'The server has no room left on its disk'],
  interrupted: ['unavailable', 'The server could not finish in time; try again'],
});

/** Failures of proving who asks and whether they may. */
export const authErrors = defineErrors('auth', {
  missing: ['unauthenticated', 'Sign in, or send an access token'],
  invalid: ['unauthenticated', 'The credentials are not valid'],
  expired: ['unauthenticated', 'The access token has expired'],
  wrong_kind: ['unauthenticated', 'A token of this kind is not accepted here'],
  use_nonce: ['unauthenticated', 'The proof must contain the nonce this reply carries'],
  ended: ['unauthenticated', 'This principal may no longer act'],
  missing_permission: ['forbidden', 'This needs a permission you do not hold'],
  slow_down: ['exhausted', 'Too many attempts; wait before trying again'],
});

/** Codes that every route may answer with, besides those it declares itself. */
export const commonCodes: readonly string[] = [...Object.values(requestErrors), ...Object.values(authErrors)].map(
  (maker) => maker.code,
);
