/** What went wrong, as a closed set: transport status, exit code and retry follow from it alone. */
export type ErrorKind =
  'invalid' | 'unauthenticated' | 'forbidden' | 'not_found' | 'conflict' | 'exhausted' | 'unavailable' | 'corrupt';

/** Facts about a failure. Never secrets, never paths of other users. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** A failure that somebody declared. Anything else that is thrown is a bug. */
export class CodedError extends Error {
  /** `noun.reason`: public, never renamed. */
  readonly code: string;
  readonly kind: ErrorKind;
  readonly details: ErrorDetails;

  constructor(
    facts: { code: string; kind: ErrorKind; message: string; details?: ErrorDetails },
    options?: { cause?: unknown },
  ) {
    super(facts.message, options);
    this.name = 'CodedError';
    this.code = facts.code;
    this.kind = facts.kind;
    this.details = facts.details ?? {};
  }
}

type Declarations = Readonly<Record<string, readonly [kind: ErrorKind, message: string]>>;
type Maker = ((details?: ErrorDetails, cause?: unknown) => CodedError) & { readonly code: string };

const declared = new Map<string, CodedError>();

/** Every failure that the modules loaded so far declare, as an example of each without details, by its code. */
export function declaredErrors(): ReadonlyMap<string, CodedError> {
  return declared;
}

/**
 * Declares the failures of one noun, once: `defineErrors('archives', { not_found: ['not_found', 'Archive not found'] })`.
 *
 * Each entry becomes a function that makes the error; `message` is for people and says what happened.
 */
export function defineErrors<T extends Declarations>(
  noun: string,
  declarations: T,
): { readonly [K in keyof T]: Maker } {
  const makers = Object.entries(declarations).map(([reason, [kind, message]]) => {
    const code = `${noun}.${reason}`;
    const make = (details?: ErrorDetails, cause?: unknown) =>
      new CodedError({ code, kind, message, details: details ?? {} }, cause === undefined ? undefined : { cause });
    declared.set(code, make());
    return [reason, Object.assign(make, { code })] as const;
  });
  return Object.fromEntries(makers) as { readonly [K in keyof T]: Maker };
}

/** Exit codes of the command line, one per kind; 1 is a bug. */
export const exitCodeOf: Readonly<Record<ErrorKind, number>> = {
  invalid: 2,
  unauthenticated: 3,
  forbidden: 4,
  not_found: 5,
  conflict: 6,
  exhausted: 7,
  unavailable: 8,
  corrupt: 9,
};

/** HTTP status, one per kind; 500 is a bug. */
export const httpStatusOf: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  exhausted: 429,
  unavailable: 503,
  corrupt: 422,
};

/** Whether trying again later, unchanged, can succeed. */
export function isRetryable(error: unknown): boolean {
  return error instanceof CodedError && (error.kind === 'exhausted' || error.kind === 'unavailable');
}
