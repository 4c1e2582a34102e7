import { Lexer, type Token, type Tokens } from 'marked';

export type { Token, Tokens };

/** The tokens of a Markdown text; undefined where it is nested beyond what can be read. */
export function tokensOf(text: string): Token[] | undefined {
  try {
    return Lexer.lex(text, { gfm: true });
  } catch {
    return undefined;
  }
}
