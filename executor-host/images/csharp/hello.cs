using System;
using System.Linq;

class Hello
{
    static void Main()
    {
        var words = new[] { "C#", "from", "Hello" };
        Console.WriteLine(string.Join(" ", words.Reverse()));
    }
}
