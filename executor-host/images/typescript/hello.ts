enum Language { JavaScript, TypeScript }

const greet = (language: Language): string => `Hello from ${Language[language]}`

console.log(greet(Language.TypeScript))
