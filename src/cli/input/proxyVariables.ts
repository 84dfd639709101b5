import { OptionsError } from '../../index.ts';
import type { Environment } from './environment.ts';

/** The proxies of an environment; empty where it names none. */
export interface ProxyUrls {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  /** The hosts that are asked directly, as the environment lists them. */
  readonly noProxy: string;
}

/** Reads the variables that most programs know; of two spellings the small letters win, as with curl. */
export function proxyUrls(environment: Environment): ProxyUrls {
  return {
    httpProxy: proxyUrl('HTTP_PROXY', environment),
    httpsProxy: proxyUrl('HTTPS_PROXY', environment),
    noProxy: read('NO_PROXY', environment).value,
  };
}

/** The parts of the proxies' URLs that nobody may see. */
export function proxySecrets(environment: Environment): string[] {
  return ['HTTP_PROXY', 'HTTPS_PROXY'].flatMap((name) => {
    const { value } = read(name, environment);
    const [, login = ''] = /^(?:[a-z][a-z0-9+.-]*:\/\/)?([^/]*)@/i.exec(value) ?? [];
    const password = login.slice(login.indexOf(':') + 1);
    return login === ''
      ? []
      : [value, `${login}@`, login, ...(login.includes(':') ? [password, decoded(password)] : [])];
  });
}

/** Without a scheme it is `http://`, as other programs take it. */
function proxyUrl(variable: string, environment: Environment): string {
  const { name, value } = read(variable, environment);
  if (value === '') return '';
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const isHttp = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  if (isHttp) return url;
  throw new OptionsError(
    `${name} must be the http(s) URL of a proxy, such as http://proxy.example:3128: its value is not shown`,
  );
}

function read(variable: string, environment: Environment): { readonly name: string; readonly value: string } {
  const small = variable.toLowerCase();
  const name = environment[small] === undefined ? variable : small;
  return { name, value: environment[name]?.trim() ?? '' };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
