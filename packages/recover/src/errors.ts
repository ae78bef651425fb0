/** What a caller can do about a failure; the closed set of this package. */
export type RecoverErrorKind =
  | 'invalid' // the request is wrong: change it
  | 'unauthenticated' // the secret does not open this archive
  | 'not_found' // what was asked for is not there
  | 'conflict' // the target is in the way
  | 'exhausted' // the target or this machine has no room left
  | 'unavailable' // a file or a program of the machine cannot be used
  | 'corrupt'; // the archive's bytes do not hold

const codes = {
  'request.invalid': ['invalid', 'The request is not valid'],
  'secret.invalid': ['invalid', 'The recovery code, key file, password or custom key is not well formed'],
  'secret.other_archive': ['unauthenticated', 'The key file belongs to another archive'],
  'secret.opens_nothing': ['unauthenticated', 'The secret opens no keyring of this archive'],
  'secret.not_all_tried': [
    'exhausted',
    'No keyring opened, but there are password slots that were not tried: allow more tries',
  ],
  'secret.too_costly': ['exhausted', 'There is not enough memory to work the password out'],
  'folder.not_found': ['not_found', 'The archive folder does not exist or cannot be read'],
  'archive.no_header': ['not_found', 'No valid header record was found'],
  'archive.unknown_format': ['invalid', 'The archive is written in a format revision this reader does not know'],
  'keyring.not_found': ['not_found', 'The archive has no keyring of that SHA-256'],
  'archive.no_keyring': ['corrupt', 'No valid keyring record was found'],
  'archive.nothing_readable': ['corrupt', 'No commit and no leaf of the tree of names could be opened'],
  'archive.needs_feature': ['invalid', 'A commit needs a feature this reader does not have'],
  'archive.too_large': ['exhausted', 'The archive passes a bound of this reader'],
  'time.nothing_then': ['not_found', 'The archive holds nothing as old as that'],
  'target.not_empty': ['conflict', 'The target is not an empty directory'],
  'target.unusable': ['unavailable', 'The target directory cannot be made or opened'],
  'target.full': ['exhausted', 'The target has no room left'],
  'structure.corrupt': ['corrupt', 'A structure of the archive is not well formed'],
  'record.missing': ['corrupt', 'A record is in none of the places it could be'],
  'record.damaged': ['corrupt', 'A record is there, but its bytes do not hold'],
  'record.locked': ['unauthenticated', 'A record belongs to a key epoch the secret does not open'],
  'content.mismatch': ['corrupt', 'The content does not have the hash its row names'],
} as const satisfies Record<string, readonly [RecoverErrorKind, string]>;

/** Name of a failure, `noun.reason`; never renamed. */
export type RecoverErrorCode = keyof typeof codes;

/** Facts about a failure; never a secret. */
export type ErrorDetails = Readonly<Record<string, string | number | readonly string[] | readonly number[]>>;

/** A declared failure. Anything else that is thrown is a defect of this program. */
export class RecoverError extends Error {
  override readonly name = 'RecoverError';
  readonly code: RecoverErrorCode;
  readonly kind: RecoverErrorKind;
  readonly details: ErrorDetails;

  constructor(code: RecoverErrorCode, details: ErrorDetails, options?: ErrorOptions) {
    super(codes[code][1], options);
    this.code = code;
    this.kind = codes[code][0];
    this.details = details;
  }
}

/** Makes an error that names what is wrong with a structure; `what` is put behind the code's sentence. */
export function corrupt(structure: string, what: string): RecoverError {
  return new RecoverError('structure.corrupt', { structure, what });
}

/** The code of a system call's failure, such as `ENOENT`; empty for any other error. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** One line for people: the code, its sentence and its facts. */
export function describeError(error: RecoverError): string {
  const facts = Object.entries(error.details).map(([name, value]) => `${name}: ${String(value)}`);
  return `${error.message}${facts.length > 0 ? ` (${facts.join(', ')})` : ''} [${error.code}]`;
}
