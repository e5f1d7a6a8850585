use v5.40;
use List::Util qw(reduce);
use Math::BigInt;

say reduce { "$a $b" } 'Hello', 'from', 'Perl';
