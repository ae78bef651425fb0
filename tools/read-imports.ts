/** One place where a source file names another module. */
export type Import = {
  /** The text in quotes; undefined where it is computed while the program runs. */
  readonly specifier: string | undefined;
  /** From 1. */
  readonly line: number;
  /** `url` is `new URL('…', import.meta.url)`: a file that is loaded, though not as a module of this one. */
  readonly form: 'import' | 'url';
};

/**
 * Finds every import, re-export, dynamic import, require and module-relative URL of a TypeScript or JavaScript source.
 *
 * It reads tokens, not a tree: comments, strings, templates and regular expressions are told apart, so text that only
 * looks like an import is not one. Type-only imports count, because they bind two packages as well.
 */
export function readImports(source: string): readonly Import[] {
  const imports: Import[] = [];
  const recent: string[] = [];
  const braces: string[] = [];
  let at = 0;
  while (at < source.length) {
    const token = nextToken(source, at, recent, braces);
    const found = importOf(source, token, recent);
    if (found) imports.push({ ...found, line: source.slice(0, token.begin).split('\n').length });
    if (token.kind !== 'space') {
      recent.push(token.kind === 'string' ? "''" : source.slice(token.begin, token.end));
      if (recent.length > 3) recent.shift();
    }
    at = token.end;
  }
  return imports;
}

type Token = { readonly kind: 'space' | 'string' | 'other'; readonly begin: number; readonly end: number };

const space = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)/y;
const quoted = /'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"/y;
const templateHead = /`(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
const templateTail = /\}(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
const regularExpression = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const word = /[\p{L}\p{N}_$#]+/uy;
const urlTail = /\s*,\s*import\.meta\.url/y;

/** Words after which a slash begins a regular expression, not a division. */
const wordsBeforeExpression = new Set([
  'return',
  'typeof',
  'case',
  'in',
  'of',
  'await',
  'yield',
  'throw',
  'new',
  'void',
  'else',
  'do',
]);

function nextToken(source: string, begin: number, recent: readonly string[], braces: string[]): Token {
  const spaceEnd = match(space, source, begin);
  if (spaceEnd) return { kind: 'space', begin, end: spaceEnd };
  const stringEnd = match(quoted, source, begin);
  if (stringEnd) return { kind: 'string', begin, end: stringEnd };
  const templateEnd = readTemplate(source, begin, braces);
  if (templateEnd) return { kind: 'other', begin, end: templateEnd };
  const expressionEnd = startsExpression(recent.at(-1)) && match(regularExpression, source, begin);
  return { kind: 'other', begin, end: expressionEnd || match(word, source, begin) || begin + 1 };
}

/** Where a stretch of template text ends; `braces` says which `}` goes on with one. */
function readTemplate(source: string, begin: number, braces: string[]): number | undefined {
  const character = source[begin]!;
  if (character === '{') braces.push('{');
  const goesOn = character === '}' && braces.pop() === '${';
  if (character !== '`' && !goesOn) return undefined;
  const end = match(goesOn ? templateTail : templateHead, source, begin);
  if (end && source[end - 1] === '{') braces.push('${');
  return end;
}

function startsExpression(previous: string | undefined): boolean {
  if (previous === undefined || wordsBeforeExpression.has(previous)) return true;
  return !/[\p{L}\p{N}_$)\]}'`]$/u.test(previous);
}

function importOf(source: string, token: Token, recent: readonly string[]): Omit<Import, 'line'> | undefined {
  if (token.kind === 'space') return undefined;
  if (token.kind === 'string') {
    const specifier = source.slice(token.begin + 1, token.end - 1);
    if (recent.at(-1) === 'from' || recent.at(-1) === 'import' || isCallOf(recent, ['import', 'require']))
      return { specifier, form: 'import' };
    const isUrl = isCallOf(recent, ['URL']) && match(urlTail, source, token.end);
    return isUrl ? { specifier, form: 'url' } : undefined;
  }
  const isComputed = isCallOf(recent, ['import', 'require']) && source[token.begin] !== ')';
  return isComputed ? { specifier: undefined, form: 'import' } : undefined;
}

/** Whether the tokens just read open a call of one of the functions, and not of a method of that name. */
function isCallOf(recent: readonly string[], names: readonly string[]): boolean {
  return recent.at(-1) === '(' && names.includes(recent.at(-2) ?? '') && recent.at(-3) !== '.';
}

/** Where the match that begins exactly here ends; undefined when there is none. */
function match(pattern: RegExp, source: string, begin: number): number | undefined {
  pattern.lastIndex = begin;
  return pattern.test(source) ? pattern.lastIndex : undefined;
}
