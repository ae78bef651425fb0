import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { defineRoute, nothing, open } from './route.ts';
import { Instant } from './shapes.ts';

/** One sign-in of a person, as it is shown to them and to administrators. */
export const Session = z.object({
  sessionId: z.uuid(),
  userId: z.uuid(),
  createdAt: Instant,
  lastSeenAt: Instant,
  /** When it ends if nothing more is asked. */
  idleEndsAt: Instant,
  /** When it ends in any case. */
  absoluteEndsAt: Instant,
  ipAddress: z.string(),
  userAgent: z.string(),
  /** Whether it is the one that asks. */
  current: z.boolean(),
});
export type Session = z.infer<typeof Session>;

/** Who is signed in, and what a page must send back with every change. */
export const SignedIn = z.object({
  sessionId: z.uuid(),
  userId: z.uuid(),
  username: z.string(),
  tenantId: z.uuid(),
  /** Goes into the header `x-csrf-token` of every request that changes something. */
  csrfToken: z.string(),
  permissions: z.array(z.string()),
  absoluteEndsAt: Instant,
});
export type SignedIn = z.infer<typeof SignedIn>;

/** Failures about sessions. */
export const sessionErrors = defineErrors('sessions', {
  not_found: ['not_found', 'Session not found'],
  wrong_credentials: ['unauthenticated', 'That address, name or password is not right'],
});

const oneSession = z.object({ sessionId: z.uuid() });

/** Routes of signing in and out. */
export const sessionRoutes = {
  signIn: defineRoute({
    method: 'POST',
    path: '/t/:slug/v1/sessions',
    summary: 'Sign in with a password and get a session cookie',
    permission: open('the credentials in the request are what is checked'),
    params: z.object({ slug: z.string().min(1).max(100) }),
    body: z.strictObject({ username: z.string().min(1).max(256), password: z.string().min(1).max(1024) }),
    maxBodyBytes: 16_384,
    status: 201,
    reply: SignedIn,
    errors: [sessionErrors.wrong_credentials],
  }),
  current: defineRoute({
    method: 'GET',
    path: '/v1/auth/session',
    summary: 'Read who is signed in',
    permission: 'sessions.own',
    principals: ['user'],
    status: 200,
    reply: SignedIn,
  }),
  signOut: defineRoute({
    method: 'DELETE',
    path: '/v1/auth/session',
    summary: 'End the session that asks',
    permission: 'sessions.own',
    principals: ['user'],
    status: 204,
    reply: nothing,
  }),
  listOwn: defineRoute({
    method: 'GET',
    path: '/v1/auth/sessions',
    summary: 'List the sessions of the person who asks',
    permission: 'sessions.own',
    principals: ['user'],
    status: 200,
    reply: z.object({ sessions: z.array(Session) }),
  }),
  revokeOwn: defineRoute({
    method: 'DELETE',
    path: '/v1/auth/sessions/:sessionId',
    summary: 'End one session of the person who asks',
    permission: 'sessions.own',
    principals: ['user'],
    params: oneSession,
    status: 204,
    reply: nothing,
    errors: [sessionErrors.not_found],
  }),
  listOf: defineRoute({
    method: 'GET',
    path: '/v1/users/:userId/sessions',
    summary: 'List the sessions of a user',
    permission: 'sessions.read',
    params: z.object({ userId: z.uuid() }),
    status: 200,
    reply: z.object({ sessions: z.array(Session) }),
    errors: [sessionErrors.not_found],
  }),
  revoke: defineRoute({
    method: 'DELETE',
    path: '/v1/users/:userId/sessions/:sessionId',
    summary: 'End one session of a user',
    permission: 'sessions.revoke',
    params: z.object({ userId: z.uuid(), sessionId: z.uuid() }),
    status: 204,
    reply: nothing,
    errors: [sessionErrors.not_found],
  }),
};
