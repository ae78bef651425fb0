/** Reads one cookie from the header; undefined when there is none or more than one of that name. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  const found = (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`));
  return found.length === 1 ? found[0]!.slice(name.length + 1) : undefined;
}

/** Writes a cookie for this host alone, unreadable by scripts; `maxAgeSeconds` of 0 removes it. */
export function writeCookie(cookie: {
  readonly name: `__Host-${string}`;
  readonly value: string;
  readonly maxAgeSeconds: number;
  readonly sameSite: 'Lax' | 'Strict';
}): string {
  const { name, value, maxAgeSeconds, sameSite } = cookie;
  return `${name}=${value}; Path=/; Max-Age=${maxAgeSeconds}; Secure; HttpOnly; SameSite=${sameSite}`;
}
